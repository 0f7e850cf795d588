"""The part of the store about who may pay what, and what is written down of it."""

from gateway.store.sqlite.groups import GroupRows
from gateway.store.sqlite.payees import PayeeRows
from gateway.store.sqlite.people import PeopleRows
from gateway.store.sqlite.quotas import QuotaRows
from gateway.store.sqlite.reviews import ReviewRows
from gateway.store.sqlite.screening import ScreeningRows
from gateway.store.sqlite.seals import SealRows


class ControlRows(ReviewRows, SealRows, PeopleRows, PayeeRows, QuotaRows, ScreeningRows, GroupRows):
    """See the parts."""
