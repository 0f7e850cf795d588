// The life of an EBICS user, lived by the npm package ebics-client (H004): keys, HPB, HTD, an empty download, a payment, a statement.
// node life.js URL FOLDER PAYMENT_FILE; prints "paid", waits for a line, prints one JSON object. Needs NODE_PATH to find the package.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { Client, Orders } = require('ebics-client');

const [url, folder, paymentFile] = process.argv.slice(2);
const keysFile = path.join(folder, 'keys');

const client = new Client({
	url,
	hostId: 'TESTHOST',
	partnerId: 'PARTNER1',
	userId: 'USER1',
	passphrase: 'only for tests',
	keyStorage: {
		read: async () => (fs.existsSync(keysFile) ? fs.readFileSync(keysFile, 'utf8') : null),
		write: async (data) => fs.writeFileSync(keysFile, data),
	},
});

(async () => {
	const seen = {};
	for (const name of ['INI', 'HIA']) {
		const answer = await client.send(Orders[name]);
		seen[name] = [answer.technicalCode, answer.businessCode];
	}
	const hpb = await client.send(Orders.HPB);
	await client.setBankKeys(hpb.bankKeys);
	seen.HPB = Object.keys(hpb.bankKeys).sort();
	const htd = await client.send(Orders.HTD);
	seen.HTD = htd.orderData.toString();
	const from = '2020-01-01';
	const until = '2099-12-31';
	const vmk = await client.send(Orders.VMK(from, until));
	seen.VMK = [vmk.technicalCode, vmk.businessCode];
	seen.CCT = await client.send(Orders.CCT(fs.readFileSync(paymentFile, 'utf8')));
	process.stdout.write('paid\n');
	await new Promise((resolve) => process.stdin.once('data', resolve).once('end', resolve));
	const sta = await client.send(Orders.STA(from, until));
	seen.STA = sta.orderData.toString();
	process.stdout.write(JSON.stringify(seen));
	process.exit(0);
})().catch((error) => {
	process.stderr.write(`${error.stack}\n`);
	process.exit(1);
});
