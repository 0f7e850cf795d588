"""What the bank grants our user (HTD) held against what the connection is set to send and fetch: what is missing, by name.

Sources: schemas H004 and H005, ebics_orders, UserPermissionType: a permission lists order types (H004: OrderTypes), or names one
(H005: AdminOrderType) with at most one Service; AuthorisationLevel is the class of the electronic signature, T of which only
transports (EBICS 2.5 and 3.0, chapter on electronic signatures). Of the French file types (FUL, FDL) only the order type is
compared: what a bank lists of file formats differs from bank to bank.
"""

from collections.abc import Iterable
from typing import Final

from channels.ebics.order_data import OrderRight, UserRights
from channels.ebics.orders import BusinessDownload, BusinessUpload, Order, Service

_ADMINISTRATIVE: Final = frozenset({"HAA", "HKD", "HPD", "HTD", "PTK"})
_TRANSPORTS: Final = "T"
_ASK: Final = "ask the bank to grant it, or correct the setting by the bank's sheet"


def missing_rights(wanted: Iterable[tuple[str, Order]], user: UserRights) -> tuple[str, ...]:
    """What of `wanted` (the setting, and its order) the user may not do, in words. Nothing where the bank lists no rights."""
    listed = {name for right in user.permissions for name in right.order_types}
    if not listed:
        return ()
    orders = tuple(wanted)
    told = [words for where, order in orders if (words := _missing(where, order, user)) is not None]
    if any(order.direction == "upload" for _, order in orders) and listed & _ADMINISTRATIVE and "HAC" not in listed:
        told.append(
            f"upload: the bank does not list HAC among the rights of {user.user_id} (HTD): without it only a person can ask "
            "how an order in doubt ended; ask the bank to grant it"
        )
    return tuple(told)


def _missing(where: str, order: Order, user: UserRights) -> str | None:
    granted = [right for right in user.permissions if order.type in right.order_types and _serves(right, order)]
    if not granted:
        near = sorted({found.words() for found in _services(order, user) if _is_near(found, _service(order))})
        instead = f"; it lists {', '.join(near)}" if near else ""
        return f"{where}: the bank does not list {_name(order)} among the rights of {user.user_id} (HTD){instead}: {_ASK}"
    if order.direction == "upload" and order.signed and {right.level for right in granted} == {_TRANSPORTS}:
        return (
            f"{where}: {user.user_id} may send {_name(order)} with a signature of class T only, which transports and does not "
            "authorise: orders wait for other signatures, or are refused. Ask the bank, or set authorised = false if meant"
        )
    return None


def _service(order: Order) -> Service | None:
    parameters = order.parameters
    return parameters.service if isinstance(parameters, BusinessUpload | BusinessDownload) else None


def _services(order: Order, user: UserRights) -> list[Service]:
    return [right.service for right in user.permissions if order.type in right.order_types and right.service is not None]


def _serves(right: OrderRight, order: Order) -> bool:
    """A permission without a Service is for all of them; where it leaves a detail of the message open, for each."""
    service = _service(order)
    if service is None or right.service is None:
        return True
    listed = right.service
    exact = ("name", "scope", "option", "container", "message")
    details = ("version", "variant", "format")
    return all(getattr(listed, part) == getattr(service, part) for part in exact) and all(
        getattr(listed, part) in {None, getattr(service, part)} for part in details
    )


def _is_near(listed: Service, wanted: Service | None) -> bool:
    return wanted is not None and (listed.name, listed.message) == (wanted.name, wanted.message)


def _name(order: Order) -> str:
    service = _service(order)
    return order.type if service is None else f"{order.type} {service.words()}"
