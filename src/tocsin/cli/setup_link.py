"""`python -m tocsin.cli.setup_link`: create the link of the first admin, with a call that web-ui's key signs.

Whoever can read that key may create it: the user of web-ui's container, or of the data folder of `tocsin up`. A module
of its own, because importing what makes signatures would delay every command.
"""

import sys
from pathlib import Path

from tocsin.cli.console import OUT, PROGRAM, CommandError, local_time, print_error
from tocsin.cli.gateway import call
from tocsin.cli.service_keys import KeyFolder
from tocsin.cli.services import WEB
from tocsin.contracts.accounts import SetupLink
from tocsin.contracts.services import WEB_UI
from tocsin.kernel.ids import new_id
from tocsin.kernel.service_keys import ServiceKeys
from tocsin.kernel.settings import ProcessSettings, load
from tocsin.kernel.shared_time import SharedTime


def create_setup_link(url: str, data: Path) -> SetupLink:
    """Return a new link of the Tocsin at *url*. Raise CommandError if it has an admin, or without web-ui's key."""
    settings = load(ProcessSettings)
    if settings.service_key is None:
        key = KeyFolder(data).private_key(WEB)
        if key is None:
            msg = "the key of web-ui is not here"
            advice = (
                f"Run this where Tocsin was started: {PROGRAM} setup-link --data FOLDER, or in the container of web-ui."
            )
            raise CommandError(msg, advice)
        settings = settings.model_copy(update={"service_key": key})
    signature = ServiceKeys.of(settings, WEB_UI, SharedTime()).authorization(WEB_UI)
    return call(url, lambda gateway: gateway.accounts.setup_link(signature, idempotency_key=str(new_id())))


if __name__ == "__main__":
    try:
        link = create_setup_link(sys.argv[1], Path(sys.argv[2]))
    except CommandError as error:
        print_error(error)
        raise SystemExit(error.status) from error
    OUT.print(
        f"Create the account of the first admin here, until {local_time(link.expires_at)}; the link works once:",
        markup=False,
    )
    OUT.print(link.url, markup=False, soft_wrap=True)
