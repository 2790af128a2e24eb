// What Envoy makes of a route's action. One process for several files, see match.test.ts.
import './rewrites.ts'
import './redirects.ts'
import './cors.ts'
import './destinations.ts'
import './decision.ts'
