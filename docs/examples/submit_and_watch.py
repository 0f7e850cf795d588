"""Submit two payments over TLS and follow them. python submit_and_watch.py HOST:PORT TLS_DIRECTORY CONNECTION [once]"""
# ruff: noqa: T201 - it prints what it was told

import sys
from pathlib import Path

import grpc

from bankgate.v1 import payments_pb2 as pb
from bankgate.v1 import payments_pb2_grpc, types_pb2

address, tls, connection = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
ca, key, certificate = ((tls / name).read_bytes() for name in ("ca.crt", "client.key", "client.crt"))
channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(ca, key, certificate))
bank = payments_pb2_grpc.PaymentServiceStub(channel)
request = pb.SubmitPaymentsRequest()
for reference, amount in (("2026-0001", "120.00"), ("2026-0002", "80.50")):  # store the reference first: it prevents paying twice
    payment = request.payments.add(payment_reference=reference, connection_id=connection, amount=amount, currency="EUR")
    payment.creditor.CopyFrom(types_pb2.Party(name="Supplier Ltd"))
    payment.creditor.postal_address.CopyFrom(types_pb2.PostalAddress(town_name="Dublin", country="IE"))
    payment.creditor_account.iban = "IE29AIBK93115212345678"
for answer in bank.SubmitPayments(request, timeout=30).payments:  # after an error or a time-out: send the same again
    print(answer.payment_reference, "known before" if answer.already_known else "stored", answer.payment_id)
for answer in bank.WatchPaymentEvents(pb.WatchPaymentEventsRequest(stop_at_end=len(sys.argv) > 4)):
    for event in answer.events:  # store event.resume_token with what you did about the event, and pass it when you come back
        print(event.payment_reference, types_pb2.PaymentState.Name(event.state), event.reason.text_en)
