"""The company's OpenID provider, over HTTP."""
