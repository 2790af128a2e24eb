// A share of the runs of never-looser.ts, which says what they show.
import { neverLooser } from './never-looser.ts'

neverLooser(2)
