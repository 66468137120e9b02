import { Type } from 'typebox'

/** The environment variables of a process that sends mail. */
export const mailEnv = {
  MAIL_URL: Type.String({
    secret: 'mail',
    pattern: /^smtps?:\/\/[^\s/]/.source,
    expected: 'a URL such as smtps://user:password@smtp.example.com',
    description:
      'The mail server: smtp:// (port 587, with STARTTLS) or smtps:// (port 465), as packages/mail/README.md says',
  }),
  MAIL_FROM: Type.String({
    pattern: /^(?:[^<>]+ <[^\s<>@]+@[^\s<>@]+>|[^\s<>@]+@[^\s<>@]+)$/.source,
    expected: 'an address such as accounts@example.com or Example <accounts@example.com>',
    description: 'The sender of all mails: an address, with or without a name',
  }),
}
