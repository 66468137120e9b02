import { expect, test } from 'vitest'
import { checkName, rename } from '../names.ts'

const taken = new Map([
  ['accounts', 'apps/accounts'],
  ['mail-worker', 'a process type of apps/post'],
])

test.each(['orders', 'back-orders', 'a', 'o2', 'abcdefghijklmnopqrstuvwxyzabcd'])('%s is a name', (name) => {
  expect(checkName(name, taken)).toBeUndefined()
})

test.each([
  ['', 'missing', undefined],
  ['Orders', 'lower case', 'orders'],
  ['backOrders', 'lower case', 'back-orders'],
  ['back_orders', 'letters from a to z', 'back-orders'],
  ['back orders', 'letters from a to z', 'back-orders'],
  ['objednávky', 'letters from a to z', 'objednavky'],
  ['заказы', 'letters from a to z', undefined],
  ['2fast', 'begin with a digit', 'fast'],
  ['-orders', 'begins with a letter', 'orders'],
  ['orders-', 'begins with a letter', 'orders'],
  ['back--orders', 'begins with a letter', 'back-orders'],
  ['back-2', 'begins with a letter', 'back'],
  ['abcdefghijklmnopqrstuvwxyzabcde', '31 characters', 'abcdefghijklmnopqrstuvwxyzab'],
  ['../orders', 'path', 'orders'],
  ['/etc/orders', 'path', 'etc-orders'],
  ['..', 'path', undefined],
  ['postgres', 'has that name already', 'postgres2'],
  ['con', 'has that name already', 'con2'],
  ['accounts', 'apps/accounts', 'accounts2'],
  ['mail', 'a process type of apps/post', 'mail2'],
])('%j is refused, with the reason and another', (name, reason, suggestion) => {
  const problem = checkName(name, taken)
  expect(problem?.reason).toContain(reason)
  expect(problem?.suggestion).toBe(suggestion)
})

test('a name takes the place of another in each of its spellings', () => {
  const text = 'any-name anyName AnyName any_name ANY_NAME, /api/any-name/x, AnyNameItem'
  expect(rename(text, 'any-name', 'back-orders')).toBe(
    'back-orders backOrders BackOrders back_orders BACK_ORDERS, /api/back-orders/x, BackOrdersItem',
  )
  expect(rename('any-name anyName', 'any-name', 'orders')).toBe('orders orders')
})
