"""AccessService: people over gRPC. What each call means stands in access.proto, what it does in `gateway.people`."""

# ruff: noqa: N802 - the methods are named by the contract

from collections.abc import Iterable
from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from bankgate.v1 import access_pb2 as pb
from bankgate.v1 import access_pb2_grpc
from gateway.errors import BadRequest, FactorNeeded
from gateway.people.desk import SignedIn, Source
from gateway.people.factors import SecondFactor, purpose_of_session
from gateway.people.officers import Outcome, PersonView, Wanted, wanted
from gateway.people.people import People
from gateway.people.permissions import permissions_of
from gateway.people.records import Factor, FactorKind, Opening, Proposal, Session
from gateway.people.sign_in import Opened
from gateway.rpc.door import Servicer
from gateway.rpc.sessions import with_person, with_source

DIGEST_BYTES = 32


class AccessServicer(Servicer, access_pb2_grpc.AccessServiceServicer):
    """See the module."""

    @property
    def people(self) -> People:
        return self.gateway.people

    # -- signing in ----------------------------------------------------------------------------------------------------

    @with_source
    async def SignIn(self, source: Source, request: pb.SignInRequest) -> pb.SignInResponse:
        if request.id_token:
            return _opened(await self.people.sign_in_with_token(request.id_token, request.challenge_id, source))
        if request.sign_in_id:
            factor = _factor(request.second_factor, answers_sign_in=True)
            return _opened(await self.people.finish_sign_in(request.sign_in_id, factor, source))
        begun = await self.people.sign_in(request.name, request.password, source)
        return pb.SignInResponse(sign_in_id=begun.sign_in_id, factor_kinds=begun.kinds, passkey_options_json=begun.options)

    @with_source
    async def BeginIdTokenSignIn(self, source: Source, request: pb.BeginIdTokenSignInRequest) -> pb.BeginIdTokenSignInResponse:
        _ = request
        challenge_id, nonce = await self.people.begin_id_token(source)
        return pb.BeginIdTokenSignInResponse(challenge_id=challenge_id, nonce=nonce)

    @with_source
    async def Enrol(self, source: Source, request: pb.EnrolRequest) -> pb.SignInResponse:
        return _opened(await self.people.enrol(request.name, request.enrolment_code, request.new_password, source))

    @with_person
    async def SignOut(self, person: SignedIn, request: pb.SignOutRequest) -> pb.SignOutResponse:
        _ = request
        await self.people.sign_out(person)
        return pb.SignOutResponse()

    @with_person
    async def WhoAmI(self, person: SignedIn, request: pb.WhoAmIRequest) -> pb.WhoAmIResponse:
        _ = request
        account, session = person.account, person.session
        return pb.WhoAmIResponse(
            name=account.name,
            roles=sorted(account.roles),
            groups=sorted(account.groups),
            connections=account.connections,
            permissions=sorted(permissions_of(account.roles)),
            session_id=session.session_id,
            expires_at=_moment(session.expires_at),
            enrolling=session.enrolling,
            fresh_factor=self.people.is_fresh(person),
            factors=[_factor_shown(one) for one in await self.people.own_factors(person) if one.confirmed],
            emergency=account.sealed,
        )

    @with_person
    async def ChangePassword(self, person: SignedIn, request: pb.ChangePasswordRequest) -> pb.ChangePasswordResponse:
        await self.people.change_password(person, request.old_password, request.new_password)
        return pb.ChangePasswordResponse()

    @with_person
    async def ListSessions(self, person: SignedIn, request: pb.ListSessionsRequest) -> pb.ListSessionsResponse:
        _ = request
        own = person.session.session_id
        return pb.ListSessionsResponse(sessions=[_session_shown(one, own) for one in await self.people.own_sessions(person)])

    @with_person
    async def RevokeSession(self, person: SignedIn, request: pb.RevokeSessionRequest) -> pb.RevokeSessionResponse:
        await self.people.revoke_session(person, request.session_id)
        return pb.RevokeSessionResponse()

    # -- second factors ------------------------------------------------------------------------------------------------

    @with_person
    async def BeginFactor(self, person: SignedIn, request: pb.BeginFactorRequest) -> pb.BeginFactorResponse:
        if len(request.bound_to) not in {0, DIGEST_BYTES}:
            raise BadRequest("bound_to", f"is a SHA-256 of {DIGEST_BYTES} bytes, or empty for StepUp")
        bound_to = request.bound_to or purpose_of_session(person.session.session_id)
        asked = await self.people.begin_factor(person.account.person, bound_to)
        return pb.BeginFactorResponse(challenge_id=asked.challenge_id, passkey_options_json=asked.options, nonce=asked.nonce)

    @with_person
    async def StepUp(self, person: SignedIn, request: pb.StepUpRequest) -> pb.StepUpResponse:
        if person.session.enrolling:
            raise FactorNeeded("add a second factor first")
        await self.people.step_up(person, _factor(request.second_factor))
        return pb.StepUpResponse()

    @with_person
    async def EnrolTotp(self, person: SignedIn, request: pb.EnrolTotpRequest) -> pb.EnrolTotpResponse:
        factor_id, uri = await self.people.enrol_totp(person, request.label)
        return pb.EnrolTotpResponse(factor_id=factor_id, uri=uri)

    @with_person
    async def ConfirmTotp(self, person: SignedIn, request: pb.ConfirmTotpRequest) -> pb.ConfirmTotpResponse:
        await self.people.confirm_totp(person, request.factor_id, request.totp_code)
        return pb.ConfirmTotpResponse()

    @with_person
    async def BeginPasskeyRegistration(
        self, person: SignedIn, request: pb.BeginPasskeyRegistrationRequest
    ) -> pb.BeginPasskeyRegistrationResponse:
        _ = request
        challenge_id, options = await self.people.begin_passkey(person)
        return pb.BeginPasskeyRegistrationResponse(challenge_id=challenge_id, options_json=options)

    @with_person
    async def FinishPasskeyRegistration(
        self, person: SignedIn, request: pb.FinishPasskeyRegistrationRequest
    ) -> pb.FinishPasskeyRegistrationResponse:
        factor_id = await self.people.finish_passkey(person, request.challenge_id, request.credential_json, request.label)
        return pb.FinishPasskeyRegistrationResponse(factor_id=factor_id)

    @with_person
    async def NewRecoveryCodes(self, person: SignedIn, request: pb.NewRecoveryCodesRequest) -> pb.NewRecoveryCodesResponse:
        _ = request
        return pb.NewRecoveryCodesResponse(codes=await self.people.new_recovery_codes(person))

    @with_person
    async def RemoveFactor(self, person: SignedIn, request: pb.RemoveFactorRequest) -> pb.RemoveFactorResponse:
        await self.people.remove_factor(person, request.factor_id)
        return pb.RemoveFactorResponse()

    # -- officers ------------------------------------------------------------------------------------------------------

    @with_person
    async def ListPeople(self, person: SignedIn, request: pb.ListPeopleRequest) -> pb.ListPeopleResponse:
        _ = request
        views, proposals = await self.people.list_people(person)
        return pb.ListPeopleResponse(
            people=[_person_shown(view) for view in views],
            proposals=[_proposal_shown(one) for one in proposals],
            emergencies=[_emergency_shown(one) for view in views for one in view.openings],
        )

    @with_person
    async def PutPerson(self, person: SignedIn, request: pb.PutPersonRequest) -> pb.PersonChangeResponse:
        change = wanted(request.name, list(request.roles), list(request.groups), list(request.connections))
        return _changed(await self.people.put_person(person, change))

    @with_person
    async def DisablePerson(self, person: SignedIn, request: pb.DisablePersonRequest) -> pb.DisablePersonResponse:
        await self.people.disable_person(person, request.name)
        return pb.DisablePersonResponse()

    @with_person
    async def ResetFactors(self, person: SignedIn, request: pb.ResetFactorsRequest) -> pb.PersonChangeResponse:
        return _changed(await self.people.reset_factors(person, request.name))

    @with_person
    async def ConfirmProposal(self, person: SignedIn, request: pb.ConfirmProposalRequest) -> pb.PersonChangeResponse:
        return _changed(await self.people.confirm(person, request.proposal_id))

    @with_person
    async def RefuseProposal(self, person: SignedIn, request: pb.RefuseProposalRequest) -> pb.RefuseProposalResponse:
        await self.people.refuse(person, request.proposal_id)
        return pb.RefuseProposalResponse()

    @with_person
    async def EndSessions(self, person: SignedIn, request: pb.EndSessionsRequest) -> pb.EndSessionsResponse:
        return pb.EndSessionsResponse(ended=await self.people.end_sessions(person, request.name))

    @with_person
    async def ReviewEmergency(self, person: SignedIn, request: pb.ReviewEmergencyRequest) -> pb.ReviewEmergencyResponse:
        await self.people.review_opening(person, request.opening_id, request.review)
        return pb.ReviewEmergencyResponse()


# -- words of the contract -------------------------------------------------------------------------------------------------


def _factor(message: pb.SecondFactor, *, answers_sign_in: bool = False) -> SecondFactor:
    factor = SecondFactor(
        totp_code=message.totp_code,
        recovery_code=message.recovery_code,
        assertion=message.assertion_json,
        id_token=message.id_token,
        challenge_id=message.challenge_id,
    )
    if (factor.assertion or factor.id_token) and not answers_sign_in and not factor.challenge_id:
        raise BadRequest("second_factor.challenge_id", "an assertion and an ID token answer a challenge: BeginFactor gives one")
    return factor


def _opened(opened: Opened) -> pb.SignInResponse:
    return pb.SignInResponse(
        session_token=opened.token,
        expires_at=_moment(opened.session.expires_at),
        enrolling=opened.session.enrolling,
        wrong_tries=opened.tries,
    )


def _changed(outcome: Outcome) -> pb.PersonChangeResponse:
    return pb.PersonChangeResponse(proposal_id=outcome.proposal_id, enrolment_code=outcome.enrolment_code)


def _moment(value: datetime | None) -> Timestamp | None:
    if value is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(value)
    return stamp


def _factor_shown(one: Factor) -> pb.PersonFactor:
    return pb.PersonFactor(
        factor_id=one.factor_id,
        kind=one.kind,
        label=one.label,
        created_at=_moment(one.created_at),
        used_at=_moment(one.used_at),
        used_up=one.kind is FactorKind.RECOVERY_CODE and one.counter > 0,
    )


def _session_shown(one: Session, own: str) -> pb.PersonSession:
    return pb.PersonSession(
        session_id=one.session_id,
        caller=one.caller,
        address=one.address,
        created_at=_moment(one.created_at),
        seen_at=_moment(one.seen_at),
        expires_at=_moment(one.expires_at),
        factor=one.factor,
        this_one=one.session_id == own,
    )


def _person_shown(view: PersonView) -> pb.PersonEntry:
    account = view.account
    kinds: Iterable[str] = {str(one.kind) for one in view.factors}
    return pb.PersonEntry(
        name=account.name,
        roles=sorted(account.roles),
        groups=sorted(account.groups),
        connections=account.connections,
        disabled=account.disabled,
        sealed=account.sealed,
        at_identity_provider=account.subject is not None,
        enrolment_until=_moment(account.enrolment_until),
        factor_kinds=sorted(kinds),
        recovery_codes_left=sum(one.kind is FactorKind.RECOVERY_CODE for one in view.factors),
        sessions=len(view.sessions),
        wrong_tries=view.tries.count if view.tries else 0,
        paused_until=_moment(view.tries.paused_until) if view.tries else None,
    )


def _proposal_shown(one: Proposal) -> pb.PersonProposal:
    change = Wanted.of_json(one.name, one.content) if one.kind == "put" else None
    return pb.PersonProposal(
        proposal_id=one.proposal_id,
        kind=one.kind,
        name=one.name,
        roles=sorted(change.roles) if change else [],
        groups=sorted(change.groups) if change else [],
        connections=change.connections if change else [],
        asked_by=one.asked_by,
        asked_at=_moment(one.asked_at),
        expires_at=_moment(one.expires_at),
    )


def _emergency_shown(one: Opening) -> pb.Emergency:
    return pb.Emergency(
        opening_id=one.opening_id,
        name=one.name,
        opened_by=one.opened_by,
        reason=one.reason,
        opened_at=_moment(one.opened_at),
        open_until=_moment(one.open_until),
        reviewed_at=_moment(one.reviewed_at),
        reviewed_by=one.reviewed_by or "",
        review=one.review or "",
    )
