/** The values that every variant stores in its session: ten of 50 characters. */
export const tenValues = Object.fromEntries(
  Array.from({ length: 10 }, (_, index) => [`value${index}`, String(index).repeat(50)]),
)
