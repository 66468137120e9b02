export { defineMail, type Line, type Mail } from './define-mail.ts'
export { mailEnv } from './mail-env.ts'
export { MailInvalid, MailRefused, MailUnavailable } from './mail-error.ts'
export { openMailer, type Mailer, type MailerOptions } from './open-mailer.ts'
