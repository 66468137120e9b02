/** What every variant keeps in its session: ten values of 50 characters. */
export const tenValues = Object.fromEntries(
  Array.from({ length: 10 }, (_, index) => [`value${index}`, String(index).repeat(50)]),
)
