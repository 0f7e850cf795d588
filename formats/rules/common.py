"""The rules that hold in every pain.001: the schema's facets, and the standards behind the values (IBAN, BIC, LEI, ISO 4217, …).

A payment that breaks none of them gives a message that is valid against the official schema of its version.
"""

from formats.rules import parties, payment, remittance, values
from formats.rules.rule import Pack

COMMON = Pack(name="common", rules=payment.RULES + values.RULES + parties.RULES + remittance.RULES)
"""In every bank, for every payment."""
