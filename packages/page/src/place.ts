export interface User {
  id: string
  email: string
  // keep: mail
  /** Whether its owner has opened a link that was mailed to it. */
  emailVerified: boolean
  // /keep
}

/** A part of the page for a user who is signed in. */
export interface Place {
  /** Its word in the URL: `imports` is `#/imports`. The empty word is the start. */
  word: string
  /** Its name in the navigation. */
  name: string
  /** @param rest the URL after the word: `1` of `#/imports/1` */
  show(user: User, rest: string | undefined): HTMLElement
}

/** A part of the page for everybody, which is reached by a link. */
export interface OpenPlace {
  word: string
  show(rest: string | undefined): HTMLElement
}
