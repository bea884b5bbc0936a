"""The company's OpenID provider: where it is, its keys, and what it states about a person.

References are to OpenID Connect Core 1.0 (Core) and Discovery 1.0.
"""

import re
from base64 import b64encode
from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any, Final, NoReturn
from urllib.parse import quote_plus, urlencode

import structlog
from aiohttp import hdrs
from joserfc.jwk import Key
from pydantic import AfterValidator, BaseModel, Field, StringConstraints, ValidationError

from tocsin.kernel.client_metrics import ClientMetrics
from tocsin.kernel.loopback import secure_url
from tocsin.kernel.shared_time import SharedTime
from tocsin.web.access.domain.id_token import InvalidTokenError, UnknownKeyError, keys_in, verified_claims
from tocsin.web.access.domain.openid import (
    CANCELLED,
    NOT_BEGUN,
    ExternalIdentity,
    Flow,
    LogInRefusedError,
    identity_in,
)
from tocsin.web.access.provider.client import Kept, ProviderClient
from tocsin.web.settings import Settings

log = structlog.get_logger(__name__)
CALLBACK: Final = "/login/oidc/callback"
DISCOVERY: Final = "/.well-known/openid-configuration"
RENEW_SECONDS: Final = 60.0
"""The shortest time between two fetches of keys because of a token that none of them has signed."""
ERROR_CODE: Final = r"^[a-z_]{1,40}$"
"""The error codes of RFC 6749 and Core. Others are neither logged nor shown: anybody can make a link with one."""
Endpoint = Annotated[str, AfterValidator(secure_url)]


class Metadata(BaseModel):
    """What the provider states about itself (Discovery, section 3)."""

    issuer: str
    authorization_endpoint: Endpoint
    token_endpoint: Endpoint
    jwks_uri: Endpoint
    userinfo_endpoint: Endpoint | None = None
    token_endpoint_auth_methods_supported: list[str] = ["client_secret_basic"]
    authorization_response_iss_parameter_supported: bool = False


class Tokens(BaseModel):
    """What a code is redeemed for (Core, section 3.1.3.3)."""

    id_token: Annotated[str, Field(repr=False)]
    access_token: Annotated[str, Field(repr=False)] = ""


class Refusal(BaseModel):
    """Why a code is not redeemed (RFC 6749, section 5.2)."""

    error: Annotated[str, StringConstraints(pattern=ERROR_CODE)]


class OpenIDProvider:
    """The provider that the settings name."""

    def __init__(self, settings: Settings, time: SharedTime, metrics: ClientMetrics) -> None:
        self.issuer = settings.oidc_issuer
        self.name = settings.oidc_name
        self._settings = settings
        self._time = time
        self._client = ProviderClient(self.name, metrics)
        self.context = self._client.context
        self._metadata = Kept(self._fetch_metadata)
        self._keys = Kept(self._fetch_keys)

    @property
    def redirect_uri(self) -> str:
        """The address to which the provider sends people back; it is registered there."""
        return f"{self._settings.public_url}{CALLBACK}"

    async def authorization_url(self, flow: Flow, *, select_account: bool) -> str:
        """Return where the browser goes to log in, as another account with *select_account*. Raise ProviderError."""
        address = (await self._metadata.get()).authorization_endpoint
        query = {
            "response_type": "code",
            "client_id": self._settings.oidc_client_id,
            "redirect_uri": self.redirect_uri,
            "scope": self._settings.oidc_scopes,
            "state": flow.state,
            "nonce": flow.nonce,
            "code_challenge": flow.challenge,
            "code_challenge_method": "S256",
            **({"prompt": "select_account"} if select_account else {}),
        }
        return f"{address}{'&' if '?' in address else '?'}{urlencode(query)}"

    async def identify(self, flow: Flow, response: Mapping[str, str]) -> ExternalIdentity:
        """Return who has logged in, from the parameters with which the browser came back.

        Raise LogInRefusedError if the provider or the person refused, ProviderError if it is unavailable or wrong.
        """
        metadata = await self._metadata.get()
        self._check_issuer(response.get("iss"), metadata)
        error = response.get("error")
        if error is not None:
            shown = error if re.match(ERROR_CODE, error) else "unknown error"
            log.info("log-in refused by the provider", reason=shown)
            raise LogInRefusedError(CANCELLED if error == "access_denied" else f"{self.name} refused: {shown}.")
        tokens = await self._redeem(metadata, flow, response.get("code", ""))
        claims = await self._claims(tokens.id_token, flow)
        return identity_in(
            await self._completed(metadata, tokens, claims), groups_claim=self._settings.oidc_groups_claim
        )

    def _check_issuer(self, given: str | None, metadata: Metadata) -> None:
        """Refuse the response of another provider (RFC 9207, section 2.4)."""
        if given != self.issuer and (given is not None or metadata.authorization_response_iss_parameter_supported):
            self._client.fail("another provider has responded", "the parameter iss of the response is not the issuer")

    async def _redeem(self, metadata: Metadata, flow: Flow, code: str) -> Tokens:
        """Return the tokens for *code* (Core, section 3.1.3)."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": flow.verifier,
        }
        headers = {}
        client, given = self._settings.oidc_client_id, self._settings.oidc_client_secret
        secret = given.get_secret_value() if given else ""
        methods = metadata.token_endpoint_auth_methods_supported
        if "client_secret_post" in methods and "client_secret_basic" not in methods:
            form |= {"client_id": client, "client_secret": secret}
        else:
            credentials = f"{quote_plus(client)}:{quote_plus(secret)}"  # RFC 6749, section 2.3.1
            headers = {hdrs.AUTHORIZATION: f"Basic {b64encode(credentials.encode()).decode('ascii')}"}
        status, raw = await self._client.request(hdrs.METH_POST, metadata.token_endpoint, data=form, headers=headers)
        if status != HTTPStatus.OK:
            self._refuse(status, _error_in(raw))
        return self._client.parse(Tokens, raw)

    def _refuse(self, status: int, error: str) -> NoReturn:
        if error == "invalid_grant":
            log.info("log-in refused by the provider", reason=error)
            raise LogInRefusedError(NOT_BEGUN)
        self._client.fail("it refuses to say who you are", f"the token endpoint returns {status} {error}".rstrip())

    async def _claims(self, token: str, flow: Flow) -> Mapping[str, Any]:
        """Return the claims of an ID token; keys that have not signed it are fetched anew once."""
        expected = {"issuer": self.issuer, "client_id": self._settings.oidc_client_id, "nonce": flow.nonce}
        try:
            try:
                return verified_claims(token, await self._keys.get(), **expected, now=self._time.seconds())
            except UnknownKeyError:
                keys = await self._keys.get(seconds=RENEW_SECONDS)
                return verified_claims(token, keys, **expected, now=self._time.seconds())
        except InvalidTokenError as exc:
            self._client.fail("its response is not valid", str(exc), cause=exc)

    async def _completed(self, metadata: Metadata, tokens: Tokens, claims: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return *claims* with those that only the UserInfo endpoint states (Core, section 5.3)."""
        groups = {self._settings.oidc_groups_claim} if self._settings.oidc_roles else set()
        if not metadata.userinfo_endpoint or not tokens.access_token or claims.keys() >= {"email", *groups}:
            return claims
        headers = {hdrs.AUTHORIZATION: f"Bearer {tokens.access_token}"}
        status, raw = await self._client.request(hdrs.METH_GET, metadata.userinfo_endpoint, headers=headers)
        more = self._client.document(raw) if status == HTTPStatus.OK else {}
        if more.get("sub") != claims["sub"]:
            self._client.fail(
                "its responses contradict each other", f"userinfo returns {status}, or is about somebody else"
            )
        return {**more, **claims}

    async def _fetch_metadata(self) -> Metadata:
        status, raw = await self._client.request(hdrs.METH_GET, self.issuer.rstrip("/") + DISCOVERY)
        if status != HTTPStatus.OK:
            self._client.fail("it cannot be found", f"discovery returns {status}: is OIDC_ISSUER right?")
        metadata = self._client.parse(Metadata, raw)
        if metadata.issuer != self.issuer:
            self._client.fail(
                "it has another name", f"discovery states another issuer than OIDC_ISSUER: {metadata.issuer!r}"
            )
        return metadata

    async def _fetch_keys(self) -> list[Key]:
        status, raw = await self._client.request(hdrs.METH_GET, (await self._metadata.get()).jwks_uri)
        if status != HTTPStatus.OK:
            self._client.fail("its keys cannot be found", f"jwks_uri returns {status}")
        return keys_in(self._client.document(raw))


def _error_in(raw: bytes) -> str:
    """Return the error code in a response of the token endpoint; empty without one."""
    try:
        return Refusal.model_validate_json(raw).error
    except ValidationError:
        return ""
