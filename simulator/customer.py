"""A customer of the bank while it runs: settings, folders, seal."""

from collections import Counter
from dataclasses import dataclass, field

from keys.seal import Seal
from simulator.seals import bank_seal
from simulator.settings import BankSettings, CustomerSettings
from simulator.tree import Tree, make_tree


@dataclass(frozen=True, slots=True, eq=False)
class Customer:
    settings: CustomerSettings
    tree: Tree
    seal: Seal
    suffix: str  # of the names of sealed files: ".p7m", or nothing
    counts: Counter[str] = field(default_factory=Counter)  # files taken, executed, …: served by GET /state

    @property
    def id(self) -> str:
        return self.settings.id


def make_customers(settings: BankSettings) -> dict[str, Customer]:
    """Every customer by id, its folders made and its seal built. Raises `ValueError` for a bad seal profile."""
    return {
        customer.id: Customer(
            customer,
            make_tree(settings.data_directory, customer.id, show_taken=customer.sftp is not None and customer.sftp.show_taken),
            *bank_seal(customer.seal, settings.directory),
        )
        for customer in settings.customers
    }
