// Loaded by a replica first: its clock jumps, an hour ahead at the first SIGWINCH and two hours back at the next.
const RealDate = Date
let offset = 0
process.on('SIGWINCH', () => {
  offset = offset > 0 ? -3_600_000 : 3_600_000
})
globalThis.Date = class extends RealDate {
  constructor(...args) {
    super(...(args.length > 0 ? args : [RealDate.now() + offset]))
  }

  static now() {
    return RealDate.now() + offset
  }
}
