"""Authlib's OAuth2 client against this server: a token by each of the four ways in which a client
can say who it is, and a call with each token.

Makes its own clients in the tenant `demo`. Reads FATHOM_BASE_URL and FATHOM_ADMIN_KEY, prints one
line a step, and exits 0 only if every step held.
"""

import os

import requests
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import ClientSecretJWT, PrivateKeyJWT
from joserfc.jwk import ECKey

BASE_URL = os.environ["FATHOM_BASE_URL"].rstrip("/")
TOKEN_ENDPOINT = BASE_URL + "/oauth/token"
SCOPE = "models:read"
TIMEOUT = 30


def create_client(method, **settings):
    """A new client that says who it is by `method`, with its secret if it has one."""
    answer = requests.post(
        BASE_URL + "/admin/v1/clients",
        headers={"Authorization": "Bearer " + os.environ["FATHOM_ADMIN_KEY"]},
        json={"tenant": "demo", "name": "authlib", "scopes": [SCOPE], "method": method, **settings},
        timeout=TIMEOUT,
    )
    assert answer.status_code == 201, f"no client was made: {answer.status_code} {answer.text}"
    return answer.json()


def client_secret_basic():
    client = create_client("client_secret")
    return session(client["id"], client["secret"], "client_secret_basic")


def client_secret_post():
    client = create_client("client_secret")
    return session(client["id"], client["secret"], "client_secret_post")


# Authlib names the token endpoint as the audience of an assertion, and lets it live for an hour;
# these two need a client that may do so.
def client_secret_jwt():
    client = create_client("client_secret_jwt", token_endpoint_audience=True)
    return session(client["id"], client["secret"], ClientSecretJWT())


def private_key_jwt():
    key = ECKey.generate_key("P-256", {"kid": "authlib", "use": "sig", "alg": "ES256"})
    jwks = {"keys": [key.as_dict(private=False)]}
    client = create_client("private_key_jwt", token_endpoint_audience=True, jwks=jwks)
    assert "secret" not in client, "a client with a key of its own was given a secret, too"
    return session(client["id"], key, PrivateKeyJWT(alg="ES256"))


def session(client_id, secret, method):
    session = OAuth2Session(client_id, secret, scope=SCOPE, default_timeout=TIMEOUT)
    if not isinstance(method, str):
        session.register_client_auth_method(method)
        method = method.name
    session.token_endpoint_auth_method = method
    return session


def use(session):
    """Gets a token and lists the models with it."""
    token = session.fetch_token(TOKEN_ENDPOINT, grant_type="client_credentials")
    assert token["token_type"] == "Bearer", f"the token's type is {token['token_type']!r}"
    assert token["scope"] == SCOPE, f"asked for {SCOPE}, got {token['scope']!r}"
    assert token["expires_in"] > 0, f"the token is over after {token['expires_in']} s"
    answer = session.get(BASE_URL + "/v1/models")
    assert answer.status_code == 200, f"no models: {answer.status_code} {answer.text}"
    names = [model["id"] for model in answer.json()["data"]]
    assert names, "the list of models is empty"
    return ", ".join(names)


if __name__ == "__main__":
    for step in (client_secret_basic, client_secret_post, client_secret_jwt, private_key_jwt):
        print(f"{step.__name__}: {use(step())}")
