// oauth4webapi, the library beneath a certified OpenID client, against this server: discovery,
// client credentials, a check of the token by its signature, introspection, revocation, and the
// token's end; with a secret, and with a key of the client's own.
//
// Makes a client in the tenant `demo`. Reads FATHOM_BASE_URL, FATHOM_CLIENT_ID,
// FATHOM_CLIENT_SECRET and FATHOM_ADMIN_KEY, prints one line a step, and exits 0 only if every
// step held.

import assert from 'node:assert/strict'
import * as oauth from 'oauth4webapi'

const baseUrl = process.env.FATHOM_BASE_URL.replace(/\/$/, '')
// There is no TLS on one's own machine.
const options = { [oauth.allowInsecureRequests]: true }
const scope = 'models:read'

const server = await discover()
await withSecret(oauth.ClientSecretBasic, 'client_secret_basic')
await withSecret(oauth.ClientSecretPost, 'client_secret_post')
await withKey()

async function discover() {
  const issuer = new URL(baseUrl)
  const response = await oauth.discoveryRequest(issuer, { ...options, algorithm: 'oauth2' })
  const server = await oauth.processDiscoveryResponse(issuer, response)
  assert(server.grant_types_supported.includes('client_credentials'))
  console.log(`discovery: ${server.token_endpoint}`)
  return server
}

async function withSecret(method, name) {
  const client = { client_id: process.env.FATHOM_CLIENT_ID }
  assert(server.token_endpoint_auth_methods_supported.includes(name))
  await lifeOfAToken(client, method(process.env.FATHOM_CLIENT_SECRET), name)
}

// The library names the issuer as the audience of its assertions, as the server asks of clients.
async function withKey() {
  const pair = await oauth.generateKeyPair('ES256', { extractable: true })
  const { kty, crv, x, y } = await crypto.subtle.exportKey('jwk', pair.publicKey)
  const key = { kty, crv, x, y, kid: 'oauth4webapi', use: 'sig', alg: 'ES256' }
  const made = await fetch(`${baseUrl}/admin/v1/clients`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${process.env.FATHOM_ADMIN_KEY}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify({
      tenant: 'demo',
      name: 'oauth4webapi',
      scopes: [scope],
      method: 'private_key_jwt',
      jwks: { keys: [key] },
    }),
  })
  assert.equal(made.status, 201, `no client was made: ${await made.clone().text()}`)
  const client = { client_id: (await made.json()).id }
  const proof = oauth.PrivateKeyJwt({ key: pair.privateKey, kid: key.kid })
  await lifeOfAToken(client, proof, 'private_key_jwt')
}

async function lifeOfAToken(client, proof, name) {
  const token = await getToken(client, proof)
  const claims = await validate(token)
  assert.equal(claims.client_id, client.client_id)
  assert.equal(claims.scope, scope)
  assert.equal(await ask(token), 200)

  const active = await introspect(client, proof, token)
  assert.equal(active.active, true)
  for (const claim of ['iss', 'sub', 'client_id', 'scope', 'exp', 'iat', 'jti']) {
    assert.equal(active[claim], claims[claim], `${claim} of the token and of its introspection`)
  }

  const revoked = await oauth.revocationRequest(server, client, proof, token, options)
  await oauth.processRevocationResponse(revoked)
  assert.deepEqual(await introspect(client, proof, token), { active: false })
  console.log(`${name}: ${claims.jti} issued, verified, introspected, revoked`)
}

async function getToken(client, proof) {
  const response = await oauth.clientCredentialsGrantRequest(server, client, proof, { scope }, options)
  const { access_token, token_type } = await oauth.processClientCredentialsResponse(server, client, response)
  assert.equal(token_type, 'bearer')
  return access_token
}

// As a resource server would, by RFC 9068.
function validate(token) {
  const request = new Request(`${baseUrl}/v1/models`, { headers: { authorization: `Bearer ${token}` } })
  return oauth.validateJwtAccessToken(server, request, 'fathom', options)
}

async function introspect(client, proof, token) {
  const response = await oauth.introspectionRequest(server, client, proof, token, options)
  return oauth.processIntrospectionResponse(server, client, response)
}

async function ask(token) {
  const response = await fetch(`${baseUrl}/v1/models`, { headers: { authorization: `Bearer ${token}` } })
  await response.arrayBuffer()
  return response.status
}
