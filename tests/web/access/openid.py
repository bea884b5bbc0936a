"""Log in at the fake OpenID provider, as a browser does."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import ClientSession

from tocsin.web.access.domain.openid import Flow, ProviderError, new_flow
from tocsin.web.access.provider.openid import OpenIDProvider


async def answer_to(provider: OpenIDProvider, flow: Flow) -> dict[str, str]:
    """Log in as a browser does; return the parameters with which it comes back."""
    url = await provider.authorization_url(flow, select_account=False)
    async with ClientSession() as browser, browser.get(url, allow_redirects=False) as response:
        assert response.status == 303, await response.text()
        query = parse_qs(urlsplit(response.headers["Location"]).query)
        return {name: values[0] for name, values in query.items()}


async def log_in(provider: OpenIDProvider) -> Any:
    flow = new_flow("")
    return await provider.identify(flow, await answer_to(provider, flow))


async def failure(provider: OpenIDProvider) -> str:
    with pytest.raises(ProviderError) as caught:
        await log_in(provider)
    return str(caught.value)
