// Vercel's AI SDK, whose schema of events is strict, against a server as `clients.rs` makes it.
//
// Reads FATHOM_BASE_URL and FATHOM_API_KEY, and prints `ok` if everything held.

import assert from 'node:assert/strict'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { APICallError, embedMany, isStepCount, Output, tool } from 'ai'
import { generateObject, generateText, streamObject, streamText } from 'ai'
import { z } from 'zod'

// What the SDK cannot ask for or cannot read as it should is a warning to it, and a failure here.
globalThis.AI_SDK_LOG_WARNINGS = ({ warnings }) => {
  // But for the older forms of two calls, and what every completion is asked and cannot do.
  const known = ['generateObject', 'streamObject', 'toolChoice']
  assert.deepEqual(warnings.filter(({ setting, feature }) => !known.includes(setting ?? feature)), [])
}

let attempts = 0
function provider(options = {}) {
  return createOpenAICompatible({
    name: 'fathom',
    baseURL: `${process.env.FATHOM_BASE_URL}/v1`,
    apiKey: process.env.FATHOM_API_KEY,
    includeUsage: true,
    supportsStructuredOutputs: true,
    fetch: (...request) => {
      attempts += 1
      return fetch(...request)
    },
    ...options,
  })
}
const fathom = provider()

// Words from a formula; a model that thinks and calls functions; the real weights.
const [words, thinker, weights] = ['deepseek-chat', 'deepseek-reasoner', 'deepseek-code']
const [flaky, slow] = ['flaky-ai-sdk', 'slow-ai-sdk']
const turns = {
  instructions: 'Answer in one word.',
  messages: [
    { role: 'user', content: 'Where is the minster?' },
    { role: 'assistant', content: 'Ulm.' },
    { role: 'user', content: 'And the tower?' },
  ],
  maxRetries: 0,
}
const City = z.object({ name: z.enum(['Paris', 'Ulm']), large: z.boolean() })

// Every part of a stream. One that the SDK cannot read, and one that is an error, is a part too.
async function parts(result) {
  const parts = await Array.fromAsync(result.stream)
  const errors = parts.filter((part) => part.type === 'error')
  assert.deepEqual(errors, [])
  return parts
}

async function chat() {
  const ask = { model: fathom(words), ...turns, maxOutputTokens: 8, seed: 1 }
  const once = await generateText(ask)
  assert.equal(once.text.split(' ').length, 8)
  assert.equal(once.finishReason, 'length')
  const streamed = streamText(ask)
  const pieces = (await parts(streamed)).filter((part) => part.type === 'text-delta')
  assert(pieces.length > 1, 'the text came in one piece')
  assert.equal(await streamed.text, once.text)
  assert.equal(await streamed.finishReason, 'length')
  assert.deepEqual(await streamed.usage, once.usage)
  assert.equal(once.usage.outputTokens, 8)
}

// Not a chat: the other route, with a schema of its own.
async function completions() {
  const ask = { model: fathom.completionModel(words), prompt: 'A river', maxOutputTokens: 4, maxRetries: 0 }
  const once = await generateText(ask)
  const streamed = streamText(ask)
  await parts(streamed)
  for (const { text, finishReason, usage } of [once, await streamed.finalStep]) {
    assert.equal(text.trim().split(' ').length, 4)
    assert.equal(finishReason, 'length')
    assert.equal(usage.outputTokens, 4)
  }
}

async function thoughts() {
  const ask = { model: fathom(thinker), prompt: 'What is two and two?', maxRetries: 0 }
  const once = await generateText(ask)
  const streamed = streamText(ask)
  const types = (await parts(streamed)).map((part) => part.type)
  assert(types.lastIndexOf('reasoning-delta') < types.indexOf('text-start'), `${types}`)
  for (const { reasoningText, text, usage } of [once.finalStep, await streamed.finalStep]) {
    assert.deepEqual([reasoningText, text], ['Two and two, that is easy.', 'It is four.'])
    assert.equal(usage.outputTokenDetails.reasoningTokens, 5)
    assert.equal(usage.inputTokenDetails.cacheReadTokens, 16)
  }
}

// The SDK calls the functions, sends what they return, and asks again.
async function functions() {
  const weather = tool({
    description: 'The weather in a city.',
    inputSchema: z.object({ city: z.string() }),
    execute: async ({ city }) => `sun in ${city}`,
  })
  const ask = { model: fathom(thinker), prompt: 'Weather?', tools: { weather }, maxRetries: 0 }
  ask.stopWhen = isStepCount(2)
  const once = await generateText(ask)
  const streamed = streamText(ask)
  const pieces = (await parts(streamed)).filter((part) => part.type === 'tool-input-delta')
  assert(pieces.length > 2, 'a call came in one piece')
  for (const steps of [once.steps, await streamed.steps]) {
    assert.deepEqual(steps.map((step) => step.finishReason), ['tool-calls', 'stop'])
    assert.deepEqual(steps[0].toolCalls.map((call) => call.input), [{ city: 'Ulm' }, { city: 'Paris' }])
    assert.equal(steps[0].reasoningText, 'I have to look that up.')
    assert.equal(steps[1].text, 'sun in Ulm and sun in Paris')
  }
  const toolChoice = { type: 'tool', toolName: 'weather' }
  const forced = await generateText({ ...ask, toolChoice, stopWhen: isStepCount(1) })
  assert.deepEqual(forced.toolCalls.map((call) => call.input), [{ city: 'Ulm' }])
}

async function schema() {
  const ask = { model: fathom(weights), prompt: 'Name a city.', maxOutputTokens: 64, maxRetries: 0 }
  const output = Output.object({ schema: City })
  City.parse((await generateText({ ...ask, output })).output)
  const streamed = streamText({ ...ask, output })
  const partial = await Array.fromAsync(streamed.partialOutputStream)
  assert.deepEqual(partial.at(-1), City.parse(await streamed.output))
  // The older form of the same.
  City.parse((await generateObject({ ...ask, schema: City })).object)
  const older = streamObject({ ...ask, schema: City })
  const [last] = (await Array.fromAsync(older.partialObjectStream)).slice(-1)
  assert.deepEqual(last, City.parse(await older.object))
}

async function embeddings() {
  const values = ['a river', 'a bridge']
  const model = fathom.embeddingModel(words)
  const { embeddings, usage } = await embedMany({ model, values, maxRetries: 0 })
  assert.deepEqual(embeddings.map((embedding) => embedding.length), [64, 64])
  assert.equal(usage.tokens, 4)
}

async function errors() {
  const stranger = provider({ apiKey: 'sk-wrong' })
  for (const [status, param, ask] of [
    [401, null, { model: stranger(words) }],
    [404, 'model', { model: fathom('nobody') }],
    [400, 'temperature', { model: fathom(words), temperature: 9 }],
  ]) {
    const seen = []
    const onError = ({ error }) => seen.push(error)
    await generateText({ ...turns, ...ask }).catch((error) => seen.push(error))
    await Array.fromAsync(streamText({ ...turns, ...ask, onError }).textStream)
    assert.equal(seen.length, 2)
    for (const error of seen) {
      assert(APICallError.isInstance(error), error)
      assert.deepEqual([error.statusCode, error.data.error.param], [status, param])
    }
  }
  const providerOptions = { fathom: { sim: { kind: 'fail', after: 2 } } }
  const broken = streamText({ model: fathom(words), ...turns, providerOptions, onError: () => {} })
  const seen = await Array.fromAsync(broken.stream)
  assert.equal(seen.filter((part) => part.type === 'text-delta').length, 2)
  assert.equal(seen.find((part) => part.type === 'error').error.code, 'worker_failed')
}

// For every second request this model is full: 503, and come again in a second.
async function retries() {
  const before = attempts
  for (const sent of [1, 3]) {
    assert((await generateText({ model: fathom(flaky), ...turns, maxRetries: 1 })).text)
    assert.equal(attempts - before, sent)
  }
}

// A model with one place, and a minute from word to word: whoever comes next waits in vain unless
// the one before has left.
async function leaves() {
  const ask = { model: fathom(slow), ...turns }
  const next = () => generateText({ ...ask, maxOutputTokens: 1 })
  const abort = new AbortController()
  for await (const part of streamText({ ...ask, abortSignal: abort.signal }).stream) {
    if (part.type === 'text-delta') abort.abort()
    assert.notEqual(part.type, 'error')
  }
  await next()
  const givesUp = async () => {
    const abortSignal = AbortSignal.timeout(500)
    await assert.rejects(generateText({ ...ask, abortSignal }), { name: 'TimeoutError' })
  }
  await givesUp()
  await next()

  // The one that gives up waits for its turn: in the line it would have the place next.
  const away = new AbortController()
  const running = streamText({ ...ask, abortSignal: away.signal }).stream[Symbol.asyncIterator]()
  while ((await running.next()).value.type !== 'text-delta');
  await givesUp()
  away.abort()
  while (!(await running.next()).done);
  await next()
}

await chat()
await completions()
await thoughts()
await functions()
await schema()
await embeddings()
await errors()
await retries()
await leaves()
console.log('ok')
