import { expect, test } from 'vitest'
import { rename } from '../src/spell.ts'

test('a name takes the place of another in each of its spellings', () => {
  const text = 'any-name anyName AnyName any_name ANY_NAME, /api/any-name/x, AnyNameItem'
  expect(rename(text, 'any-name', 'back-orders')).toBe(
    'back-orders backOrders BackOrders back_orders BACK_ORDERS, /api/back-orders/x, BackOrdersItem',
  )
  expect(rename('any-name anyName', 'any-name', 'orders')).toBe('orders orders')
})
