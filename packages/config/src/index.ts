export { describeEnv, type SecretPlace, type VariableDescription } from './describe-env.ts'
export { loadEnv } from './load-env.ts'
export { EnvironmentError, parseEnv, type EnvironmentProblem } from './parse-env.ts'
