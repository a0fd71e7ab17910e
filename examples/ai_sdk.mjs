// Vercel's AI SDK against this server: an answer as a stream, and one that a schema holds to its
// form.
//
// Reads FATHOM_BASE_URL and FATHOM_API_KEY.

import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { generateText, Output, streamText } from 'ai'
import { z } from 'zod'

const fathom = createOpenAICompatible({
  name: 'fathom',
  baseURL: `${process.env.FATHOM_BASE_URL}/v1`,
  apiKey: process.env.FATHOM_API_KEY,
  // Without it the SDK sends no schema, and hopes.
  supportsStructuredOutputs: true,
})
const model = fathom('deepseek-chat')

const { textStream } = streamText({ model, prompt: 'What is a lighthouse?', maxOutputTokens: 64 })
for await (const text of textStream) process.stdout.write(text)

const schema = z.object({ name: z.enum(['Paris', 'Ulm']), large: z.boolean() })
const { output } = await generateText({
  model,
  prompt: 'Name a city.',
  maxOutputTokens: 64,
  output: Output.object({ schema }),
})
console.log()
console.log(output)
