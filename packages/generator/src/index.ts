export { applyChange } from './apply-change.ts'
export { pathOf, type Change, type Step } from './change.ts'
export { checkName, type NameProblem } from './check-name.ts'
export {
  capabilities,
  chooseTemplate,
  kinds,
  Refusal,
  type Capability,
  type Kind,
} from './choose-template.ts'
export { planAddition, type ChangedApp } from './plan-addition.ts'
export { planPart, type Part } from './plan-part.ts'
export { planRetirement } from './plan-retirement.ts'
export { planService, type ComingApp, type Wish } from './plan-service.ts'
export { printChange } from './print-change.ts'
export { settleChange } from './settle-change.ts'
