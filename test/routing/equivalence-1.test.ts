// A share of the runs of equivalence.ts, which says what they show.
import { neverReroutes } from './equivalence.ts'

neverReroutes(1)
