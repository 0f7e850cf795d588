"""The bank plugin of a connection, with the particulars that its settings give."""

from formats.bank import BankFormat, bank_named
from formats.dialogue import DialogueBank
from gateway.config import ConnectionSettings


def bank_of(settings: ConnectionSettings) -> BankFormat:
    """The plugin as this connection uses it. Raises `UnknownBank`, `formats.dialogue.BadBankSettings`."""
    bank = bank_named(settings.bank)
    return bank.configured(settings.bank_settings) if isinstance(bank, DialogueBank) else bank
