"""PyJWT verifies an access token of this server with the keys that the server publishes, and
refuses it once anything about it is changed.

Reads FATHOM_BASE_URL, FATHOM_CLIENT_ID and FATHOM_CLIENT_SECRET, prints one line a step, and
exits 0 only if every step held.
"""

import base64
import json
import os

import jwt
import requests

BASE_URL = os.environ["FATHOM_BASE_URL"].rstrip("/")
# What the server's `auth.audience` is by default.
AUDIENCE = "fathom"
REQUIRED = ["iss", "sub", "aud", "exp", "iat", "jti", "client_id", "scope"]
TIMEOUT = 30


def get_metadata():
    answer = requests.get(BASE_URL + "/.well-known/oauth-authorization-server", timeout=TIMEOUT)
    answer.raise_for_status()
    return answer.json()


def get_token():
    answer = requests.post(
        BASE_URL + "/oauth/token",
        auth=(os.environ["FATHOM_CLIENT_ID"], os.environ["FATHOM_CLIENT_SECRET"]),
        data={"grant_type": "client_credentials"},
        timeout=TIMEOUT,
    )
    answer.raise_for_status()
    assert answer.headers["cache-control"] == "no-store", "a token may be kept by caches"
    return answer.json()["access_token"]


def verify(token, issuer, keys, audience=AUDIENCE):
    """The claims of a token that holds, by RFC 9068, section 4."""
    kind = jwt.get_unverified_header(token)["typ"]
    if kind.lower() not in ("at+jwt", "application/at+jwt"):
        raise jwt.InvalidTokenError(f"a token of type {kind!r}")
    key = keys.get_signing_key_from_jwt(token)
    # The algorithm is the key's, and never what the token says.
    return jwt.decode(
        token,
        key.key,
        algorithms=[key.algorithm_name],
        issuer=issuer,
        audience=audience,
        options={"require": REQUIRED},
    )


def decoded(part):
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def encoded(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def changed(token):
    """Tokens that are no longer what the server signed, by what was changed."""
    header, claims, signature = token.split(".")
    scope = encoded({**decoded(claims), "scope": "admin"})
    later = encoded({**decoded(claims), "exp": decoded(claims)["exp"] + 3600})
    other = ("A" if signature[0] != "A" else "B") + signature[1:]
    unsigned = encoded({**decoded(header), "alg": "none"})
    plain = encoded({**decoded(header), "typ": "JWT"})
    return {
        "scope": f"{header}.{scope}.{signature}",
        "exp": f"{header}.{later}.{signature}",
        "signature": f"{header}.{claims}.{other}",
        "no signature": f"{unsigned}.{claims}.",
        "type": f"{plain}.{claims}.{signature}",
    }


def ask(token):
    """The status of a call with the token."""
    headers = {"Authorization": "Bearer " + token}
    return requests.get(BASE_URL + "/v1/models", headers=headers, timeout=TIMEOUT).status_code


def refused(verification):
    try:
        verification()
    except jwt.InvalidTokenError as error:
        return str(error)
    raise AssertionError("it was taken")


if __name__ == "__main__":
    metadata = get_metadata()
    issuer = metadata["issuer"]
    assert issuer == BASE_URL, f"the issuer is {issuer}, the server is {BASE_URL}"
    keys = jwt.PyJWKClient(metadata["jwks_uri"], timeout=TIMEOUT)
    token = get_token()
    claims = verify(token, issuer, keys)
    assert claims["sub"] == claims["client_id"] == os.environ["FATHOM_CLIENT_ID"], claims
    print(f"token: for {claims['sub']}, scopes {claims['scope']}")
    assert ask(token) == 200, "the server refuses its own token"
    for what, forged in changed(token).items():
        print(f"changed {what}: {refused(lambda: verify(forged, issuer, keys))}")
        assert ask(forged) == 401, f"changed {what}: the server takes it"
    print(f"another audience: {refused(lambda: verify(token, issuer, keys, audience='other'))}")
    print(f"another issuer: {refused(lambda: verify(token, issuer + '/', keys))}")
