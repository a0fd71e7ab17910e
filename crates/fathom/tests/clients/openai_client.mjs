// The official `openai` package for Node against a server as `clients.rs` makes it.
//
// Reads FATHOM_BASE_URL and FATHOM_API_KEY, and prints `ok` if everything held.

import assert from 'node:assert/strict'
import OpenAI from 'openai'
import { zodFunction, zodResponseFormat } from 'openai/helpers/zod'
import { z } from 'zod'

const client = new OpenAI({
  baseURL: `${process.env.FATHOM_BASE_URL}/v1`,
  apiKey: process.env.FATHOM_API_KEY,
  maxRetries: 0,
})
const chats = client.chat.completions

// Words from a formula; a model that thinks and calls functions; the real weights.
const [words, thinker, weights] = ['deepseek-chat', 'deepseek-reasoner', 'deepseek-code']
const [flaky, slow] = ['flaky-openai-node', 'slow-openai-node']
const messages = [
  { role: 'system', content: 'Answer in one word.' },
  { role: 'user', content: 'Where is the minster?' },
  { role: 'assistant', content: 'Ulm.' },
  { role: 'user', content: 'And the tower?' },
]
const City = z.object({ name: z.enum(['Paris', 'Ulm']), large: z.boolean() })

async function models() {
  const names = (await Array.fromAsync(client.models.list())).map((model) => model.id)
  for (const name of [words, thinker, weights]) assert(names.includes(name), `${name} of ${names}`)
  assert.equal((await client.models.retrieve(words)).id, words)
}

async function chat() {
  const ask = { model: words, messages, max_tokens: 8, seed: 1 }
  const once = await chats.create(ask)
  const text = once.choices[0].message.content
  assert.equal(text.split(' ').length, 8)
  assert.equal(once.usage.total_tokens, once.usage.prompt_tokens + 8)

  const plain = await Array.fromAsync(await chats.create({ ...ask, stream: true }))
  assert(!plain.some((chunk) => chunk.usage), 'nobody asked for the counts')
  const stream = chats.stream({ ...ask, stream_options: { include_usage: true } })
  const final = await stream.finalChatCompletion()
  assert.deepEqual(final.usage, once.usage)
  assert.equal(final.choices[0].message.content, text)
  assert.equal(final.choices[0].finish_reason, 'length')
  assert.equal(plain.map((chunk) => chunk.choices[0].delta.content ?? '').join(''), text)
}

async function severalAnswersAndTheirProbabilities() {
  const ask = { model: words, messages, max_tokens: 4, n: 2, logprobs: true, top_logprobs: 3 }
  const streamed = await chats.stream(ask).finalChatCompletion()
  for (const { choices } of [await chats.create(ask), streamed]) {
    assert.deepEqual(choices.map((choice) => choice.index), [0, 1])
    for (const { message, logprobs } of choices) {
      assert.equal(logprobs.content.map((token) => token.token).join(''), message.content)
      assert(logprobs.content.every((token) => token.logprob <= 0 && token.top_logprobs.length === 3))
    }
  }
}

// The package calls the functions, sends what they return, and asks again.
async function functions() {
  const asked = []
  const weather = zodFunction({
    name: 'weather',
    parameters: z.object({ city: z.string() }),
    function: ({ city }) => {
      asked.push(city)
      return `sun in ${city}`
    },
  })
  const ask = { model: thinker, messages: [{ role: 'user', content: 'Weather?' }], tools: [weather] }
  for (const stream of [false, true]) {
    const runner = chats.runTools({ ...ask, stream })
    assert.equal(await runner.finalContent(), 'sun in Ulm and sun in Paris')
    const [called] = (await runner.allChatCompletions()).map(({ choices }) => choices[0])
    assert.equal(called.finish_reason, 'tool_calls')
    assert.equal(called.message.tool_calls.length, 2)
  }
  assert.deepEqual(asked, ['Ulm', 'Paris', 'Ulm', 'Paris'])

  const named = { type: 'function', function: { name: 'weather' } }
  for (const options of [{ parallel_tool_calls: false }, { tool_choice: named }]) {
    const calls = (await chats.parse({ ...ask, ...options })).choices[0].message.tool_calls
    assert.deepEqual(calls.map((call) => call.function.parsed_arguments), [{ city: 'Ulm' }])
  }
}

async function thoughts() {
  const ask = { model: thinker, messages: [{ role: 'user', content: 'What is two and two?' }] }
  const { reasoning_content, content } = (await chats.create(ask)).choices[0].message
  const expected = ['Two and two, that is easy.', 'It is four.']
  assert.deepEqual([reasoning_content, content], expected)
  let [thought, said] = ['', '']
  for await (const { choices } of await chats.create({ ...ask, stream: true })) {
    const { reasoning_content, content } = choices[0].delta
    assert(!(reasoning_content && said), 'a thought after the text')
    thought += reasoning_content ?? ''
    said += content ?? ''
  }
  assert.deepEqual([thought, said], expected)
}

async function schema() {
  const ask = { model: weights, messages: [{ role: 'user', content: 'Name a city.' }], max_tokens: 64 }
  ask.response_format = zodResponseFormat(City, 'city')
  for (const { choices } of [await chats.parse(ask), await chats.stream(ask).finalChatCompletion()]) {
    City.parse(choices[0].message.parsed)
  }
}

// The package asks for base64 unless it is told otherwise.
async function embeddings() {
  const ask = { model: words, input: ['a river', 'a bridge'] }
  const decoded = await client.embeddings.create(ask)
  const plain = await client.embeddings.create({ ...ask, encoding_format: 'float' })
  for (const [i, { embedding }] of decoded.data.entries()) {
    assert.equal(embedding.length, 64)
    assert(embedding.every((part, j) => Math.abs(part - plain.data[i].embedding[j]) < 1e-6))
  }
}

async function errors() {
  const stranger = client.withOptions({ apiKey: 'sk-wrong' }).chat.completions
  for (const stream of [false, true]) {
    const ask = { model: words, messages, max_tokens: 4, stream }
    await refused(OpenAI.AuthenticationError, 401, null, stranger.create(ask))
    await refused(OpenAI.NotFoundError, 404, 'model', chats.create({ ...ask, model: 'nobody' }))
    await refused(OpenAI.BadRequestError, 400, 'temperature', chats.create({ ...ask, temperature: 9 }))
  }
  const sim = { kind: 'fail', after: 2 }
  const breaks = await chats.create({ model: words, messages, stream: true, sim })
  let text = ''
  await assert.rejects(
    async () => {
      for await (const { choices } of breaks) text += choices[0].delta.content ?? ''
    },
    (error) => error instanceof OpenAI.APIError && error.code === 'worker_failed',
  )
  assert.equal(text.split(' ').length, 2)
}

async function refused(kind, status, param, asked) {
  const error = await asked.then(
    () => assert.fail(`no ${kind.name}`),
    (error) => error,
  )
  assert(error instanceof kind, error)
  assert.deepEqual([error.status, error.param], [status, param])
  assert(error.requestID, 'the error names no request')
}

// For every second request this model is full: 503, and come again in a second.
async function retries() {
  let attempts = 0
  const counted = (...request) => {
    attempts += 1
    return fetch(...request)
  }
  const patient = client.withOptions({ maxRetries: 1, fetch: counted }).chat.completions
  const begun = performance.now()
  for (const sent of [1, 3]) {
    assert((await patient.create({ model: flaky, messages })).choices[0].message.content)
    assert.equal(attempts, sent)
  }
  assert(performance.now() - begun >= 1000, 'it did not wait as long as the server asked it to')
}

// A model with one place, and a minute from word to word: whoever comes next waits in vain unless
// the one before has left.
async function leaves() {
  const stream = await chats.create({ model: slow, messages, stream: true })
  for await (const { choices } of stream) {
    if (choices[0].delta.content) break
  }
  const ask = { model: slow, messages, max_tokens: 1 }
  await chats.create(ask)
  const givesUp = async () => {
    const signal = AbortSignal.timeout(500)
    await assert.rejects(chats.create({ model: slow, messages }, { signal }), OpenAI.APIUserAbortError)
  }
  await givesUp()
  await chats.create(ask)

  // The one that gives up waits for its turn: in the line it would have the place next.
  const running = await chats.create({ model: slow, messages, stream: true })
  const chunks = running[Symbol.asyncIterator]()
  while (!(await chunks.next()).value.choices[0].delta.content);
  await givesUp()
  running.controller.abort()
  await chats.create(ask)
}

await models()
await chat()
await severalAnswersAndTheirProbabilities()
await functions()
await thoughts()
await schema()
await embeddings()
await errors()
await retries()
await leaves()
console.log('ok')
