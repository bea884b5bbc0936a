"""Calls to the accounts of web-ui."""

from collections.abc import Mapping
from uuid import UUID

from tocsin.contracts.accounts import (
    Account,
    AccountIn,
    ChangeAccount,
    CreatedToken,
    InvitedAccount,
    LogIn,
    OwnAccount,
    SetupLink,
    Token,
    TokenIn,
)
from tocsin.contracts.audit import AuditEntry
from tocsin.contracts.model import Page
from tocsin.contracts.services import WEB_UI
from tocsin.kernel.client_metrics import ClientMetrics
from tocsin.kernel.http_client import ServiceClient

PEER = WEB_UI


class AccountsClient(ServiceClient):
    """A client of web-ui's accounts."""

    def __init__(self, base_url: str, metrics: ClientMetrics) -> None:
        super().__init__(base_url, metrics, peer=PEER)

    async def log_in(self, given: LogIn, *, idempotency_key: str) -> CreatedToken:
        """Return a new token of the account whose e-mail address and password *given* has."""
        return await self.post("/api/v1/login", given, CreatedToken, idempotency_key=idempotency_key)

    async def own(self) -> OwnAccount:
        """Return the account of the caller."""
        return await self.get("/api/v1/account", OwnAccount)

    async def list(self, **page: object) -> Page[Account]:
        """Return a page of accounts, newest first."""
        return await self.get("/api/v1/accounts", Page[Account], query=page)

    async def audit(self, **query: object) -> Page[AuditEntry]:
        """Return a page of the audit, newest first."""
        return await self.get("/api/v1/audit", Page[AuditEntry], query=query)

    async def add(self, account: AccountIn, *, idempotency_key: str) -> InvitedAccount:
        """Add an account."""
        return await self.post("/api/v1/accounts", account, InvitedAccount, idempotency_key=idempotency_key)

    async def change(self, account_id: UUID, change: ChangeAccount, *, idempotency_key: str) -> Account:
        """Change an account."""
        path = f"/api/v1/accounts/{account_id}"
        return await self.patch(path, change, Account, idempotency_key=idempotency_key)

    async def new_link(self, account_id: UUID, *, idempotency_key: str) -> InvitedAccount:
        """Replace the link with which the account's person chooses a password."""
        path = f"/api/v1/accounts/{account_id}/link"
        return await self.post(path, b"", InvitedAccount, idempotency_key=idempotency_key)

    async def tokens(self, account_id: UUID | None = None, **page: object) -> Page[Token]:
        """Return a page of the tokens of an account, by default the caller's."""
        return await self.get(_tokens(account_id), Page[Token], query=page)

    async def create_token(
        self, token: TokenIn, account_id: UUID | None = None, *, idempotency_key: str
    ) -> CreatedToken:
        """Create a token of an account, by default the caller's."""
        return await self.post(_tokens(account_id), token, CreatedToken, idempotency_key=idempotency_key)

    async def revoke_token(self, token_id: UUID, account_id: UUID | None = None) -> Token:
        """Revoke a token of an account, by default the caller's."""
        return await self.delete(f"{_tokens(account_id)}/{token_id}", Token)

    async def setup_link(self, signature: Mapping[str, str], *, idempotency_key: str) -> SetupLink:
        """Return a new link with which the first admin's account is created; the call has the *signature* of web-ui."""
        self.headers = signature
        return await self.post("/api/v1/access/setup-link", b"", SetupLink, idempotency_key=idempotency_key)


def _tokens(account_id: UUID | None) -> str:
    return "/api/v1/account/tokens" if account_id is None else f"/api/v1/accounts/{account_id}/tokens"
