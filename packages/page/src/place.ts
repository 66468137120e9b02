export interface User {
  id: string
  email: string
}

/** Somewhere a person who is signed in can be. */
export interface Place {
  /** Of the address: `imports` is `#/imports`. The empty word is where one arrives. */
  word: string
  /** In the navigation. */
  name: string
  /** @param rest what stands in the address after the word: `1` of `#/imports/1` */
  show(user: User, rest: string | undefined): HTMLElement
}
