PRAGMA application_id = 1112229719;
PRAGMA user_version = 7;
BEGIN TRANSACTION;
CREATE TABLE approvals (
        approval_key INTEGER PRIMARY KEY,
        payment_key INTEGER NOT NULL,
        decision TEXT NOT NULL,
        person TEXT NOT NULL,
        person_then TEXT NOT NULL, -- JSON: roles, groups and connections as they were
        digest BLOB NOT NULL,
        holds TEXT NOT NULL, -- a JSON array of the holds that were looked at
        reason TEXT NOT NULL,
        factor_kind TEXT NOT NULL,
        factor_id TEXT NOT NULL,
        factor_at INTEGER NOT NULL,
        factor_bound_to TEXT NOT NULL,
        factor_evidence TEXT NOT NULL,
        caller TEXT NOT NULL,
        address TEXT NOT NULL,
        decided_at INTEGER NOT NULL
    ) STRICT
    ;
CREATE TABLE attempts (
        delivery_key INTEGER NOT NULL REFERENCES deliveries,
        number INTEGER NOT NULL,
        started_at INTEGER NOT NULL,
        ended_at INTEGER,
        outcome TEXT NOT NULL DEFAULT '',
        detail TEXT NOT NULL DEFAULT '',
        PRIMARY KEY (delivery_key, number)
    ) STRICT, WITHOUT ROWID
    ;
INSERT INTO "attempts" VALUES(1,1,1795599000123456,1795599000123456,'confirmed','');
INSERT INTO "attempts" VALUES(2,1,1795599005123456,1795599005123456,'lost_track','');
CREATE TABLE audit_checkpoints (
        size INTEGER PRIMARY KEY,
        made_at INTEGER NOT NULL,
        content TEXT NOT NULL,
        frontier BLOB NOT NULL,
        public_key TEXT,
        signature BLOB
    ) STRICT
    ;
CREATE TABLE audit_log (
        number INTEGER PRIMARY KEY,
        occurred_at INTEGER NOT NULL,
        action TEXT NOT NULL,
        object_kind TEXT NOT NULL,
        caller TEXT NOT NULL,
        outcome TEXT NOT NULL,
        actor TEXT,
        address TEXT,
        factor TEXT,
        who_salt BLOB,
        who_digest BLOB NOT NULL,
        object_id TEXT,
        object_salt BLOB,
        object_digest BLOB NOT NULL,
        detail TEXT,
        detail_salt BLOB,
        detail_digest BLOB NOT NULL,
        previous_hash BLOB NOT NULL,
        hash BLOB NOT NULL
    ) STRICT
    ;
CREATE TABLE blocks (
        block_key INTEGER PRIMARY KEY,
        delivery_key INTEGER NOT NULL REFERENCES deliveries,
        payment_information_id TEXT NOT NULL,
        terms_id INTEGER NOT NULL REFERENCES terms,
        payment_count INTEGER NOT NULL,
        control_sum TEXT NOT NULL,
        UNIQUE (delivery_key, payment_information_id)
    ) STRICT
    ;
INSERT INTO "blocks" VALUES(1,1,'B1',1,2,'25.00');
INSERT INTO "blocks" VALUES(2,2,'B1',1,1,'12.50');
INSERT INTO "blocks" VALUES(3,3,'B1',1,1,'12.50');
CREATE TABLE channel_notes (
        name TEXT PRIMARY KEY,
        content TEXT NOT NULL,
        updated_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID
    ;
CREATE TABLE chunks (chunk_key INTEGER PRIMARY KEY, content BLOB NOT NULL) STRICT;
INSERT INTO "chunks" VALUES(1048576,X'3C7365616C65642F3E3C7365616C65642F3E3C7365616C65642F3E3C7365616C65642F3E3C7365616C65642F3E3C7365616C65642F3E3C7365616C65642F3E3C7365616C65642F3E3C7365616C65642F3E3C7365616C65642F3E');
INSERT INTO "chunks" VALUES(2097152,X'3C63616D742F3E');
CREATE TABLE connections (
        connection_id TEXT PRIMARY KEY,
        last_sent_at INTEGER,
        last_fetch_at INTEGER,
        last_problem TEXT
    ) STRICT, WITHOUT ROWID
    ;
INSERT INTO "connections" VALUES('bank-a',1795599000123456,1795599010123456,NULL);
CREATE TABLE deliveries (
        delivery_key INTEGER PRIMARY KEY,
        delivery_id TEXT NOT NULL UNIQUE,
        connection_id TEXT NOT NULL,
        message_id TEXT NOT NULL,
        message_name TEXT NOT NULL,
        file_name TEXT NOT NULL,
        creation_date_time INTEGER NOT NULL,
        state TEXT NOT NULL,
        reason TEXT,
        payment_count INTEGER NOT NULL,
        control_sum TEXT NOT NULL,
        attempt INTEGER NOT NULL DEFAULT 0,
        fence INTEGER NOT NULL DEFAULT 1,
        lease_until INTEGER,
        due_at INTEGER,
        document_id INTEGER REFERENCES documents,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        doubt_since INTEGER, stopped INTEGER NOT NULL DEFAULT 0, package TEXT,
        UNIQUE (connection_id, message_id)
    ) STRICT
    ;
INSERT INTO "deliveries" VALUES(1,'delivery-1','bank-a','MSG-1','pain.001.001.09','MSG-1.xml',1795597200000000,'sent',NULL,2,'25.00',1,3,NULL,NULL,NULL,1795599000123456,1795599000123456,NULL,0,NULL);
INSERT INTO "deliveries" VALUES(2,'delivery-2','bank-a','MSG-2','pain.001.001.09','MSG-2.xml',1795597200000000,'in_doubt','bankgate.lost-track',1,'12.50',1,3,NULL,1795599065123456,NULL,1795599005123456,1795599005123456,1795599005123456,0,NULL);
INSERT INTO "deliveries" VALUES(3,'delivery-3','bank-a','MSG-3','pain.001.001.09','MSG-3.xml',1795597200000000,'ready',NULL,1,'12.50',0,2,NULL,1795597200000000,1,1795599005123456,1795599005123456,NULL,0,NULL);
CREATE TABLE delivery_events (
        delivery_key INTEGER NOT NULL REFERENCES deliveries,
        number INTEGER NOT NULL,
        event TEXT NOT NULL,
        previous_state TEXT,
        state TEXT NOT NULL,
        attempt INTEGER NOT NULL,
        reason TEXT,
        source TEXT NOT NULL,
        occurred_at INTEGER NOT NULL,
        PRIMARY KEY (delivery_key, number)
    ) STRICT, WITHOUT ROWID
    ;
INSERT INTO "delivery_events" VALUES(1,1,'formed',NULL,'ready',0,NULL,'gateway',1795599000123456);
INSERT INTO "delivery_events" VALUES(1,2,'started','ready','sending',1,NULL,'gateway',1795599000123456);
INSERT INTO "delivery_events" VALUES(1,3,'confirmed','sending','sent',1,NULL,'gateway',1795599000123456);
INSERT INTO "delivery_events" VALUES(2,1,'formed',NULL,'ready',0,NULL,'gateway',1795599005123456);
INSERT INTO "delivery_events" VALUES(2,2,'started','ready','sending',1,NULL,'gateway',1795599005123456);
INSERT INTO "delivery_events" VALUES(2,3,'lost_track','sending','in_doubt',1,'bankgate.lost-track','gateway',1795599005123456);
INSERT INTO "delivery_events" VALUES(3,1,'formed',NULL,'ready',0,NULL,'gateway',1795599005123456);
INSERT INTO "delivery_events" VALUES(3,2,'document_attached','ready','ready',0,NULL,'gateway',1795599005123456);
CREATE TABLE discrepancies (
        discrepancy_id INTEGER PRIMARY KEY AUTOINCREMENT,
        key TEXT NOT NULL UNIQUE,
        connection_id TEXT NOT NULL,
        kind TEXT NOT NULL,
        summary_en TEXT NOT NULL,
        summary_zh TEXT NOT NULL,
        evidence TEXT NOT NULL,
        inbound_file_id INTEGER,
        payment_id TEXT,
        delivery_id TEXT,
        created_at INTEGER NOT NULL,
        resolved_at INTEGER,
        resolved_by TEXT,
        resolution TEXT
    ) STRICT
    ;
INSERT INTO "discrepancies" VALUES(1,'first','bank-a','unmatched','An entry that we cannot match.','无法匹配的分录。','{"end_to_end_id": "X"}',NULL,NULL,NULL,1795599010123456,1795599010123456,'person: ada','looked at');
INSERT INTO "discrepancies" VALUES(2,'second','bank-a','unmatched','An entry that we cannot match.','无法匹配的分录。','{"end_to_end_id": "X"}',NULL,NULL,NULL,1795599010123456,NULL,NULL,NULL);
CREATE TABLE documents (
        document_id INTEGER PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL,
        owner TEXT NOT NULL, -- who is writing it, while finished_at is NULL
        size INTEGER,
        sha256 TEXT,
        created_at INTEGER NOT NULL,
        finished_at INTEGER
    ) STRICT
    ;
INSERT INTO "documents" VALUES(1,'sealed','vm:7799:60d8a11a84a248acbefc82e470c86fc1',90,'287ec1509ba71d2e665b40651ef15b24acee15d416851d70fe4c379feb133bf4',1795599005123456,1795599005123456);
INSERT INTO "documents" VALUES(2,'inbound','vm:7799:60d8a11a84a248acbefc82e470c86fc1',7,'530eef8d92c7dd08c48b688f34d53d3ca858bd84860bcb219533f331b42f665d',1795599010123456,1795599010123456);
CREATE TABLE entries (entry_key INTEGER PRIMARY KEY, content BLOB NOT NULL, payment_ids TEXT NOT NULL) STRICT;
INSERT INTO "entries" VALUES(4294967297,X'7B2273746174656D656E745F6964223A22532D31222C22616D6F756E74223A2231322E3530222C2263757272656E6379223A22455552222C226372656469745F6465626974223A2244424954222C227472616E73616374696F6E73223A5B7B22656E645F746F5F656E645F6964223A226532652D31222C22636F756E74657270617274795F6E616D65223A224DC3BC6C6C6572227D5D7D','["00000000000000000000000000000001"]');
CREATE TABLE events (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        payment_key INTEGER NOT NULL,
        state TEXT NOT NULL,
        previous_state TEXT,
        reason TEXT,
        source TEXT NOT NULL,
        delivery_key INTEGER,
        occurred_at INTEGER NOT NULL
    ) STRICT
    ;
INSERT INTO "events" VALUES(1,1,'approved',NULL,'bankgate.approved','caller',NULL,1795599000123456);
INSERT INTO "events" VALUES(2,2,'approved',NULL,'bankgate.approved','caller',NULL,1795599000123456);
INSERT INTO "events" VALUES(3,1,'batched','approved','bankgate.batched','gateway',1,1795599000123456);
INSERT INTO "events" VALUES(4,2,'batched','approved','bankgate.batched','gateway',1,1795599000123456);
INSERT INTO "events" VALUES(5,1,'sent','batched',NULL,'gateway',1,1795599000123456);
INSERT INTO "events" VALUES(6,2,'sent','batched',NULL,'gateway',1,1795599000123456);
INSERT INTO "events" VALUES(7,3,'approved',NULL,'bankgate.approved','caller',NULL,1795599005123456);
INSERT INTO "events" VALUES(8,3,'batched','approved','bankgate.batched','gateway',2,1795599005123456);
INSERT INTO "events" VALUES(9,4,'approved',NULL,'bankgate.approved','caller',NULL,1795599005123456);
INSERT INTO "events" VALUES(10,4,'batched','approved','bankgate.batched','gateway',3,1795599005123456);
INSERT INTO "events" VALUES(11,1,'accepted','sent','["ACSP","","","ok, 好"]','pain.002.001.10 P2-1',1,1795599010123456);
INSERT INTO "events" VALUES(12,2,'accepted','sent','["ACSP","","","ok, 好"]','pain.002.001.10 P2-1',1,1795599010123456);
INSERT INTO "events" VALUES(13,5,'approved',NULL,'bankgate.approved','caller',NULL,1795599010123456);
CREATE TABLE evidence (
        evidence_key INTEGER PRIMARY KEY,
        delivery_key INTEGER NOT NULL REFERENCES deliveries,
        found_at INTEGER NOT NULL,
        source TEXT NOT NULL,
        verdict TEXT NOT NULL,
        detail TEXT NOT NULL
    ) STRICT
    ;
INSERT INTO "evidence" VALUES(1,2,1795599005123456,'listing','unknown','gone');
CREATE TABLE inbound_files (
        inbound_file_id INTEGER PRIMARY KEY AUTOINCREMENT,
        connection_id TEXT NOT NULL,
        name TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        size INTEGER NOT NULL,
        document_id INTEGER NOT NULL REFERENCES documents,
        state TEXT NOT NULL,
        message TEXT,
        problem TEXT,
        received_at INTEGER NOT NULL,
        records_applied INTEGER NOT NULL DEFAULT 0, opened INTEGER NOT NULL DEFAULT 0,
        UNIQUE (connection_id, sha256)
    ) STRICT
    ;
INSERT INTO "inbound_files" VALUES(1,'bank-a','stm.xml','530eef8d92c7dd08c48b688f34d53d3ca858bd84860bcb219533f331b42f665d',7,2,'read','camt.053.001.08',NULL,1795599010123456,2,0);
CREATE TABLE lanes (
        lane TEXT PRIMARY KEY,
        owner TEXT,
        ticket INTEGER NOT NULL, -- number of the last claim
        lease_until INTEGER
    ) STRICT, WITHOUT ROWID
    ;
CREATE TABLE payee_checks (
        payment_id TEXT NOT NULL,
        provider TEXT NOT NULL,
        asked_at INTEGER NOT NULL,
        answered_at INTEGER NOT NULL,
        digest TEXT NOT NULL, -- SHA-256 of the name and account asked about, in hex
        result TEXT NOT NULL CHECK (result IN ('match', 'close_match', 'no_match', 'not_available')),
        suggested_name TEXT NOT NULL,
        reason TEXT NOT NULL,
        provider_reference TEXT NOT NULL,
        PRIMARY KEY (payment_id, provider, asked_at)
    ) STRICT, WITHOUT ROWID
    ;
CREATE TABLE payments (
        payment_key INTEGER PRIMARY KEY,
        payment_id TEXT NOT NULL UNIQUE,
        caller TEXT NOT NULL,
        payment_reference TEXT NOT NULL,
        connection_id TEXT NOT NULL,
        terms_id INTEGER NOT NULL REFERENCES terms,
        end_to_end_id TEXT NOT NULL,
        uetr TEXT,
        amount TEXT NOT NULL,
        currency TEXT NOT NULL,
        state TEXT NOT NULL,
        version INTEGER NOT NULL,
        reason TEXT,
        block_key INTEGER REFERENCES blocks,
        bank_status TEXT,
        account_servicer_reference TEXT,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL, instant TEXT, may_fall_back INTEGER NOT NULL DEFAULT 0, submitted_by TEXT,
        UNIQUE (caller, payment_reference)
    ) STRICT
    ;
INSERT INTO "payments" VALUES(1,'00000000000000000000000000000001','erp','ref-1','bank-a',1,'e2e-1',NULL,'12.50','EUR','accepted',4,'["ACSP","","","ok, 好"]',1,'ACSP',NULL,1795599000123456,1795599010123456,NULL,0,NULL);
INSERT INTO "payments" VALUES(2,'00000000000000000000000000000002','erp','ref-2','bank-a',1,'e2e-2',NULL,'12.50','EUR','accepted',4,'["ACSP","","","ok, 好"]',1,'ACSP',NULL,1795599000123456,1795599010123456,NULL,0,NULL);
INSERT INTO "payments" VALUES(3,'00000000000000000000000000000003','erp','ref-3','bank-a',1,'e2e-3',NULL,'12.50','EUR','batched',2,'bankgate.batched',2,NULL,NULL,1795599005123456,1795599005123456,NULL,0,NULL);
INSERT INTO "payments" VALUES(4,'00000000000000000000000000000004','erp','ref-4','bank-a',1,'e2e-4',NULL,'12.50','EUR','batched',2,'bankgate.batched',3,NULL,NULL,1795599005123456,1795599005123456,NULL,0,NULL);
INSERT INTO "payments" VALUES(5,'00000000000000000000000000000005','erp','ref-5','bank-a',1,'e2e-5',NULL,'12.50','EUR','approved',1,'bankgate.approved',NULL,NULL,NULL,1795599010123456,1795599010123456,NULL,0,NULL);
CREATE TABLE people (
        name TEXT PRIMARY KEY,
        roles TEXT NOT NULL, -- JSON lists
        groups TEXT NOT NULL,
        connections TEXT NOT NULL,
        password TEXT, -- argon2id, with its parameters
        subject TEXT UNIQUE,
        disabled INTEGER NOT NULL,
        sealed INTEGER NOT NULL,
        enrolment TEXT,
        enrolment_until INTEGER,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        version INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID
    ;
CREATE TABLE people_challenges (
        challenge_id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        kind TEXT NOT NULL,
        content TEXT NOT NULL,
        expires_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID
    ;
CREATE TABLE people_factors (
        factor_id TEXT PRIMARY KEY,
        name TEXT NOT NULL REFERENCES people,
        kind TEXT NOT NULL,
        label TEXT NOT NULL,
        content TEXT NOT NULL,
        credential_id TEXT UNIQUE,
        counter INTEGER NOT NULL,
        confirmed INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        used_at INTEGER
    ) STRICT, WITHOUT ROWID
    ;
CREATE TABLE people_openings (
        opening_id TEXT PRIMARY KEY,
        name TEXT NOT NULL REFERENCES people,
        opened_by TEXT NOT NULL,
        reason TEXT NOT NULL,
        opened_at INTEGER NOT NULL,
        open_until INTEGER NOT NULL,
        reviewed_at INTEGER,
        reviewed_by TEXT,
        review TEXT
    ) STRICT, WITHOUT ROWID
    ;
CREATE TABLE people_proposals (
        proposal_id TEXT PRIMARY KEY,
        kind TEXT NOT NULL,
        name TEXT NOT NULL,
        content TEXT NOT NULL,
        asked_by TEXT NOT NULL,
        asked_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID
    ;
CREATE TABLE people_sessions (
        session_id TEXT PRIMARY KEY,
        token_sha256 TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL REFERENCES people,
        caller TEXT NOT NULL,
        address TEXT NOT NULL,
        enrolling INTEGER NOT NULL,
        factor TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        seen_at INTEGER NOT NULL,
        fresh_at INTEGER,
        expires_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID
    ;
CREATE TABLE people_tries (
        key TEXT PRIMARY KEY, -- a digest: what strangers type is not kept
        tries INTEGER NOT NULL,
        last_at INTEGER NOT NULL,
        paused_until INTEGER
    ) STRICT, WITHOUT ROWID
    ;
CREATE TABLE plan_occurrences (
        plan_key INTEGER NOT NULL REFERENCES plans,
        due_date TEXT NOT NULL,
        state TEXT NOT NULL,
        payment_reference TEXT NOT NULL,
        payment_id TEXT,
        detail TEXT NOT NULL,
        occurred_at INTEGER NOT NULL,
        PRIMARY KEY (plan_key, due_date)
    ) STRICT, WITHOUT ROWID
    ;
CREATE TABLE plan_versions (
        plan_key INTEGER NOT NULL REFERENCES plans,
        version INTEGER NOT NULL,
        state TEXT NOT NULL,
        content TEXT NOT NULL,
        changed_by TEXT NOT NULL,
        reason TEXT NOT NULL,
        changed_at INTEGER NOT NULL,
        PRIMARY KEY (plan_key, version)
    ) STRICT, WITHOUT ROWID
    ;
CREATE TABLE plan_words (
        caller TEXT NOT NULL,
        word TEXT NOT NULL,
        plan_key INTEGER NOT NULL REFERENCES plans,
        PRIMARY KEY (caller, word, plan_key)
    ) STRICT, WITHOUT ROWID
    ;
CREATE TABLE plans (
        plan_key INTEGER PRIMARY KEY,
        kind TEXT NOT NULL,
        caller TEXT NOT NULL,
        plan_id TEXT NOT NULL,
        version INTEGER NOT NULL,
        state TEXT NOT NULL,
        content TEXT NOT NULL,
        used INTEGER NOT NULL DEFAULT 0,
        last_used_at INTEGER,
        handled_until TEXT, -- the last due date that was handled, as 2026-11-25
        look_at INTEGER,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        UNIQUE (kind, caller, plan_id)
    ) STRICT
    ;
CREATE TABLE recalls (
        recall_key INTEGER PRIMARY KEY,
        recall_id TEXT NOT NULL UNIQUE,
        payment_id TEXT NOT NULL,
        connection_id TEXT NOT NULL,
        reason TEXT NOT NULL,
        note TEXT NOT NULL,
        requested_by TEXT NOT NULL,
        requested_at INTEGER NOT NULL,
        told TEXT NOT NULL,
        delivery_id TEXT UNIQUE,
        answer TEXT,
        answer_status TEXT,
        answer_reason TEXT,
        answered_at INTEGER
    ) STRICT
    ;
CREATE TABLE refused_attempts (
        payment_key INTEGER PRIMARY KEY,
        block_key INTEGER NOT NULL REFERENCES blocks,
        uetr TEXT,
        reason TEXT,
        report_created TEXT,
        refused_at INTEGER NOT NULL
    ) STRICT
    ;
CREATE TABLE review_book (
        book INTEGER PRIMARY KEY,
        fence INTEGER NOT NULL,
        last_number INTEGER NOT NULL,
        rules TEXT NOT NULL
    ) STRICT
    ;
CREATE TABLE reviews (
        payment_key INTEGER PRIMARY KEY,
        number INTEGER NOT NULL UNIQUE, -- the place among all judged payments
        version INTEGER NOT NULL,
        connection_id TEXT NOT NULL,
        caller TEXT NOT NULL,
        debtor_account TEXT NOT NULL,
        creditor_account TEXT NOT NULL,
        creditor_name TEXT NOT NULL,
        creditor_key TEXT NOT NULL, -- the name as names are compared
        creditor_country TEXT NOT NULL,
        amount TEXT NOT NULL,
        currency TEXT NOT NULL,
        requested_execution_date TEXT NOT NULL,
        end_to_end_id TEXT NOT NULL,
        remittance TEXT NOT NULL,
        submitted_at INTEGER NOT NULL,
        digest BLOB NOT NULL,
        rules TEXT NOT NULL,
        outcome INTEGER NOT NULL,
        findings TEXT NOT NULL,
        judged_at INTEGER NOT NULL
    ) STRICT
    ;
CREATE TABLE serial_numbers (
        payment_key INTEGER NOT NULL,
        attempt INTEGER NOT NULL,
        connection_id TEXT NOT NULL,
        serial TEXT NOT NULL,
        block_key INTEGER NOT NULL REFERENCES blocks,
        given_at INTEGER NOT NULL,
        first_sent_on TEXT,
        bank_reference TEXT,
        returned_line TEXT, -- of a statement, that told of its return
        next_ask_at INTEGER,
        asked_at INTEGER,
        asked INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (payment_key, attempt),
        UNIQUE (connection_id, serial)
    ) STRICT, WITHOUT ROWID
    ;
CREATE TABLE statements (
        statement_row_id INTEGER PRIMARY KEY AUTOINCREMENT,
        connection_id TEXT NOT NULL,
        inbound_file_id INTEGER NOT NULL REFERENCES inbound_files,
        position INTEGER NOT NULL,
        message TEXT NOT NULL,
        iban TEXT,
        received_at INTEGER NOT NULL,
        content BLOB NOT NULL, chain TEXT, facts BLOB,
        UNIQUE (inbound_file_id, position)
    ) STRICT
    ;
INSERT INTO "statements" VALUES(1,'bank-a',1,0,'camt.053.001.08','NL41MOCK0000000001',1795599010123456,X'7B2273746174656D656E745F6964223A22532D31222C226163636F756E74223A7B226962616E223A224E4C34314D4F434B30303030303030303031222C2263757272656E6379223A22455552227D2C2262616C616E636573223A5B7B2274797065223A224F504244222C22616D6F756E74223A223131322E3530222C2263757272656E6379223A22455552222C226372656469745F6465626974223A2243524454222C2264617465223A22323032362D31312D3235227D2C7B2274797065223A22434C4244222C22616D6F756E74223A223130302E3030222C2263757272656E6379223A22455552222C226372656469745F6465626974223A2243524454222C2264617465223A22323032362D31312D3235227D5D2C22656E7472795F636F756E74223A317D',NULL,NULL);
CREATE TABLE terms (
        terms_id INTEGER PRIMARY KEY,
        digest BLOB NOT NULL UNIQUE, -- SHA-256 of content
        content BLOB NOT NULL
    ) STRICT
    ;
INSERT INTO "terms" VALUES(1,X'8A2AD983F7FE9B6835DFFEB273C90F8F7CED3B1CD37831E1C575B60592772790',X'7B22646562746F72223A7B226E616D65223A2241636D65222C22706F7374616C5F61646472657373223A7B22746F776E5F6E616D65223A2244656C6674222C22636F756E747279223A224E4C227D7D2C22646562746F725F6163636F756E74223A7B226962616E223A224E4C34314D4F434B30303030303030303031222C2263757272656E6379223A22455552227D2C22646562746F725F6167656E74223A7B22626963223A224D4F434B4E4C3241227D2C227265717565737465645F657865637574696F6E5F64617465223A22323032362D31312D3236222C226368617267655F626561726572223A22534C4556227D');
CREATE TABLE transfers (
        payment_key INTEGER PRIMARY KEY,
        content_sha256 BLOB NOT NULL,
        content BLOB NOT NULL
    ) STRICT
    ;
INSERT INTO "transfers" VALUES(1,X'9EBCEFDF73B3C490CB2DE115A02858BE46F1D689C4F55BA64081E4AA3B09C030',X'7B22696E737472756374696F6E5F6964223A223030303030303030303030303030303030303030303030303030303030303031222C22656E645F746F5F656E645F6964223A226532652D31222C22616D6F756E74223A2231322E3530222C2263757272656E6379223A22455552222C226372656469746F72223A7B226E616D65223A224DC3BC6C6C657220262053C3B6686E65227D2C226372656469746F725F6163636F756E74223A7B226962616E223A2244453839333730343030343430353332303133303030227D2C2272656D697474616E63655F696E666F726D6174696F6E223A7B22756E73747275637475726564223A5B22E58F91E7A5A82034373131225D7D2C22737570706C656D656E74617279223A5B5B2262616E6B2D612E636F73745F63656E747265222C223432225D5D7D');
INSERT INTO "transfers" VALUES(2,X'48F9CF3026C2C22B58E7211785CDB527A4F71CC4AF1E9D68B1CE0CA3DDC15E28',X'7B22696E737472756374696F6E5F6964223A223030303030303030303030303030303030303030303030303030303030303032222C22656E645F746F5F656E645F6964223A226532652D32222C22616D6F756E74223A2231322E3530222C2263757272656E6379223A22455552222C226372656469746F72223A7B226E616D65223A224DC3BC6C6C657220262053C3B6686E65227D2C226372656469746F725F6163636F756E74223A7B226962616E223A2244453839333730343030343430353332303133303030227D2C2272656D697474616E63655F696E666F726D6174696F6E223A7B22756E73747275637475726564223A5B22E58F91E7A5A82034373131225D7D2C22737570706C656D656E74617279223A5B5B2262616E6B2D612E636F73745F63656E747265222C223432225D5D7D');
INSERT INTO "transfers" VALUES(3,X'5FB32984C3DC58762672C95AE16C74DB9A45569C25A05072A1553BDEF6287A9B',X'7B22696E737472756374696F6E5F6964223A223030303030303030303030303030303030303030303030303030303030303033222C22656E645F746F5F656E645F6964223A226532652D33222C22616D6F756E74223A2231322E3530222C2263757272656E6379223A22455552222C226372656469746F72223A7B226E616D65223A224DC3BC6C6C657220262053C3B6686E65227D2C226372656469746F725F6163636F756E74223A7B226962616E223A2244453839333730343030343430353332303133303030227D2C2272656D697474616E63655F696E666F726D6174696F6E223A7B22756E73747275637475726564223A5B22E58F91E7A5A82034373131225D7D2C22737570706C656D656E74617279223A5B5B2262616E6B2D612E636F73745F63656E747265222C223432225D5D7D');
INSERT INTO "transfers" VALUES(4,X'F1D2937B33D5ACFBE6E5AAA0B3E40FA1C3483A3D4D40C0ECF4BB51956675179D',X'7B22696E737472756374696F6E5F6964223A223030303030303030303030303030303030303030303030303030303030303034222C22656E645F746F5F656E645F6964223A226532652D34222C22616D6F756E74223A2231322E3530222C2263757272656E6379223A22455552222C226372656469746F72223A7B226E616D65223A224DC3BC6C6C657220262053C3B6686E65227D2C226372656469746F725F6163636F756E74223A7B226962616E223A2244453839333730343030343430353332303133303030227D2C2272656D697474616E63655F696E666F726D6174696F6E223A7B22756E73747275637475726564223A5B22E58F91E7A5A82034373131225D7D2C22737570706C656D656E74617279223A5B5B2262616E6B2D612E636F73745F63656E747265222C223432225D5D7D');
INSERT INTO "transfers" VALUES(5,X'7AE755E2486D9F5D566F05610297BCCE910002047F29451A00AD4DE2DA5F9A6C',X'7B22696E737472756374696F6E5F6964223A223030303030303030303030303030303030303030303030303030303030303035222C22656E645F746F5F656E645F6964223A226532652D35222C22616D6F756E74223A2231322E3530222C2263757272656E6379223A22455552222C226372656469746F72223A7B226E616D65223A224DC3BC6C6C657220262053C3B6686E65227D2C226372656469746F725F6163636F756E74223A7B226962616E223A2244453839333730343030343430353332303133303030227D2C2272656D697474616E63655F696E666F726D6174696F6E223A7B22756E73747275637475726564223A5B22E58F91E7A5A82034373131225D7D2C22737570706C656D656E74617279223A5B5B2262616E6B2D612E636F73745F63656E747265222C223432225D5D7D');
CREATE TABLE wakes (lane TEXT NOT NULL, due_at INTEGER NOT NULL, PRIMARY KEY (lane, due_at)) STRICT, WITHOUT ROWID;
INSERT INTO "wakes" VALUES('bank-a',1795599000123456);
INSERT INTO "wakes" VALUES('bank-a',1795599065123456);
CREATE INDEX documents_unfinished ON documents (document_id) WHERE finished_at IS NULL;
CREATE INDEX deliveries_document ON deliveries (document_id) WHERE document_id IS NOT NULL;
CREATE INDEX deliveries_open ON deliveries (connection_id) WHERE state IN ('ready', 'sending', 'in_doubt');
CREATE INDEX payments_approved ON payments (connection_id, terms_id) WHERE state = 'approved';
CREATE INDEX payments_end_to_end ON payments (end_to_end_id, connection_id);
CREATE INDEX payments_uetr ON payments (uetr) WHERE uetr IS NOT NULL;
CREATE INDEX payments_block ON payments (block_key) WHERE block_key IS NOT NULL;
CREATE INDEX payments_servicer_reference ON payments (account_servicer_reference)
    WHERE account_servicer_reference IS NOT NULL
    ;
CREATE INDEX events_payment ON events (payment_key);
CREATE INDEX evidence_delivery ON evidence (delivery_key);
CREATE INDEX inbound_files_document ON inbound_files (document_id);
CREATE INDEX inbound_files_waiting ON inbound_files (connection_id, state) WHERE state IN ('stored', 'quarantined');
CREATE INDEX discrepancies_open ON discrepancies (connection_id) WHERE resolved_at IS NULL;
CREATE INDEX statements_chain ON statements (connection_id, chain) WHERE chain IS NOT NULL;
CREATE INDEX refused_attempts_block ON refused_attempts (block_key);
CREATE INDEX refused_attempts_uetr ON refused_attempts (uetr) WHERE uetr IS NOT NULL;
CREATE INDEX deliveries_sent ON deliveries (connection_id, updated_at) WHERE state = 'sent';
CREATE UNIQUE INDEX deliveries_package ON deliveries (connection_id, package) WHERE package IS NOT NULL;
CREATE INDEX serial_numbers_block ON serial_numbers (block_key);
CREATE INDEX serial_numbers_sent ON serial_numbers (connection_id, first_sent_on) WHERE first_sent_on IS NOT NULL;
CREATE INDEX serial_numbers_due ON serial_numbers (connection_id, next_ask_at) WHERE next_ask_at IS NOT NULL;
CREATE INDEX audit_log_object ON audit_log (object_kind, object_id) WHERE object_id IS NOT NULL;
CREATE TRIGGER audit_log_update BEFORE UPDATE ON audit_log
    FOR EACH ROW WHEN NOT (new.number IS old.number AND new.occurred_at IS old.occurred_at AND new.action IS old.action AND new.object_kind IS old.object_kind AND new.caller IS old.caller AND new.outcome IS old.outcome AND new.who_digest IS old.who_digest AND new.object_digest IS old.object_digest AND new.detail_digest IS old.detail_digest AND new.previous_hash IS old.previous_hash AND new.hash IS old.hash AND ((new.actor IS old.actor AND new.address IS old.address AND new.factor IS old.factor AND new.who_salt IS old.who_salt) OR (new.actor IS NULL AND new.address IS NULL AND new.factor IS NULL AND new.who_salt IS NULL)) AND ((new.object_id IS old.object_id AND new.object_salt IS old.object_salt) OR (new.object_id IS NULL AND new.object_salt IS NULL)) AND ((new.detail IS old.detail AND new.detail_salt IS old.detail_salt) OR (new.detail IS NULL AND new.detail_salt IS NULL)))
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_log_delete BEFORE DELETE ON audit_log
    FOR EACH ROW 
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_log_insert BEFORE INSERT ON audit_log
    FOR EACH ROW WHEN new.number <= (SELECT max(number) FROM audit_log)
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_checkpoints_update BEFORE UPDATE ON audit_checkpoints
    FOR EACH ROW 
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_checkpoints_delete BEFORE DELETE ON audit_checkpoints
    FOR EACH ROW 
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_checkpoints_insert BEFORE INSERT ON audit_checkpoints
    FOR EACH ROW WHEN new.size <= (SELECT max(size) FROM audit_checkpoints)
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE INDEX people_factors_name ON people_factors (name);
CREATE INDEX people_sessions_name ON people_sessions (name);
CREATE INDEX people_challenges_expired ON people_challenges (expires_at);
CREATE INDEX people_tries_old ON people_tries (last_at);
CREATE INDEX reviews_submitted ON reviews (submitted_at);
CREATE INDEX reviews_caller ON reviews (caller, submitted_at);
CREATE INDEX reviews_debtor ON reviews (debtor_account, submitted_at);
CREATE INDEX reviews_creditor ON reviews (creditor_account, submitted_at);
CREATE INDEX reviews_creditor_name ON reviews (creditor_key, submitted_at);
CREATE INDEX approvals_payment ON approvals (payment_key);
CREATE INDEX payments_waiting ON payments (state, payment_key) WHERE state IN ('received', 'held', 'awaiting_approval');
CREATE TRIGGER payee_checks_stay BEFORE UPDATE ON payee_checks
    BEGIN SELECT raise(ABORT, 'an answer about a payee is never changed'); END;
CREATE INDEX plans_due ON plans (look_at) WHERE look_at IS NOT NULL;
CREATE INDEX plan_words_plan ON plan_words (plan_key);
CREATE INDEX recalls_payment ON recalls (payment_id);
CREATE INDEX recalls_open ON recalls (connection_id) WHERE answer IS NULL;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('events',13);
INSERT INTO "sqlite_sequence" VALUES('documents',2);
INSERT INTO "sqlite_sequence" VALUES('inbound_files',1);
INSERT INTO "sqlite_sequence" VALUES('statements',1);
INSERT INTO "sqlite_sequence" VALUES('discrepancies',2);
COMMIT;
