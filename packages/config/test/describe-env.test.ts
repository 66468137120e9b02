import { Type } from 'typebox'
import { expect, test } from 'vitest'
import { describeEnv } from '../src/index.ts'

test('every variable is described in the order of the schema', () => {
  const schema = Type.Object({
    ORIGIN: Type.String({
      description: 'Where browsers find us',
      format: 'uri',
      inProduction: Type.String({ expected: 'an https URL' }),
    }),
    TRUSTED: Type.Optional(Type.Array(Type.String(), { description: 'Proxies in front of us' })),
    RETRIES: Type.Integer({ default: 3, minimum: 1, maximum: 9 }),
    PEERS: Type.Array(Type.String(), { default: ['a', 'b'] }),
  })

  expect(describeEnv(schema)).toEqual([
    {
      name: 'ORIGIN',
      description: 'Where browsers find us',
      expected: 'a URL',
      expectedInProduction: 'an https URL',
      isRequired: true,
    },
    {
      name: 'TRUSTED',
      description: 'Proxies in front of us',
      expected: 'a list separated by commas, each text',
      isRequired: false,
    },
    {
      name: 'RETRIES',
      description: '',
      expected: 'a whole number from 1 to 9',
      default: '3',
      isRequired: false,
    },
    {
      name: 'PEERS',
      description: '',
      expected: 'a list separated by commas, each text',
      default: 'a,b',
      isRequired: false,
    },
  ])
})
