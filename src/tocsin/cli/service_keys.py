"""The keys of the services that `tocsin up` starts, in the data folder: made once, each readable by its owner only."""

import secrets
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from tocsin.cli.console import CommandError
from tocsin.cli.private_file import write_private
from tocsin.cli.services import SERVICES, Service
from tocsin.kernel.key_pair import create_key_pair, public_key_of

FOLDER_MODE: Final = 0o700


class KeyFolder:
    """The folder with a private key for each service, and a folder of their public keys."""

    def __init__(self, data: Path) -> None:
        self.folder: Final = data / "keys"
        self.tokens: Final = self.folder.absolute() / "tokens"
        """The tokens of programs, for `tocsin.migrate`."""
        self._public = self.folder / "public"

    def create_missing(self) -> None:
        """Create the keys that do not exist yet. Raise CommandError if they cannot be written or read."""
        try:
            self._public.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            for service in SERVICES:
                private = self._file(service)
                if not private.exists():
                    write_private(private, create_key_pair().private)
                write_private(self._public / private.name, public_key_of(private.read_text(encoding="utf-8")))
        except (OSError, ValueError) as exc:
            advice = f"Delete {self.folder} if its files are damaged: new ones are made."
            msg = f"the keys of the services cannot be written to {self.folder} or read there: {exc}"
            raise CommandError(msg, advice) from exc

    def environment(self, service: Service) -> dict[str, str]:
        """Return the settings that give *service* its keys."""
        return {"SERVICE_KEY_FILE": str(self._file(service).resolve()), "SERVICE_KEYS": str(self._public.resolve())}

    def create_token(self, program: str) -> str:
        """Create the token of *program*'s account, in place of the one before. Raise CommandError."""
        token = f"tocsin_sat_{secrets.token_urlsafe(32)}"
        try:
            self.tokens.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            write_private(self.tokens / program, token)
        except OSError as exc:
            msg = f"the token of {program} cannot be written to {self.tokens}: {exc}"
            raise CommandError(msg) from exc
        return token

    def private_key(self, service: Service) -> SecretStr | None:
        """Return the private key of *service*; None if there is none that this user can read."""
        try:
            return SecretStr(self._file(service).read_text(encoding="utf-8"))
        except OSError:
            return None

    def _file(self, service: Service) -> Path:
        return self.folder / f"{service.identity}.json"
