// What Envoy makes of a route's `match`. One process for several files, since loading tap and tsx takes longer than each.
import './paths.ts'
import './regexes.ts'
import './headers.ts'
import './query-parameters.ts'
import './hosts.ts'
