// The official `openai` package for Node against this server: an answer as a stream, and one that
// a schema holds to its form.
//
// Reads FATHOM_BASE_URL and FATHOM_API_KEY.

import OpenAI from 'openai'
import { zodResponseFormat } from 'openai/helpers/zod'
import { z } from 'zod'

const client = new OpenAI({
  baseURL: `${process.env.FATHOM_BASE_URL}/v1`,
  apiKey: process.env.FATHOM_API_KEY,
})
const model = 'deepseek-chat'

const stream = await client.chat.completions.create({
  model,
  messages: [{ role: 'user', content: 'What is a lighthouse?' }],
  max_tokens: 64,
  stream: true,
})
for await (const { choices } of stream) process.stdout.write(choices[0].delta.content ?? '')

const City = z.object({ name: z.enum(['Paris', 'Ulm']), large: z.boolean() })
const answer = await client.chat.completions.parse({
  model,
  messages: [{ role: 'user', content: 'Name a city.' }],
  max_tokens: 64,
  response_format: zodResponseFormat(City, 'city'),
})
console.log()
console.log(answer.choices[0].message.parsed)
