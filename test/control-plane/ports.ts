import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { connect, createServer } from 'node:net'

/**
 * A free port of 127.0.0.1 for a process that takes only a number. Between asking and using, others might be given the
 * same port; so one connection is made to it and closed from the port's side. That leaves it in TIME_WAIT for a minute,
 * in which the kernel gives it to nobody who asks for any port, while whoever names it may listen (SO_REUSEADDR, which
 * Go sets on every listener).
 */
export async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const client = connect(port, '127.0.0.1')
  const [[accepted]] = await Promise.all([once(server, 'connection'), once(client, 'connect')])
  accepted.end()
  client.resume()
  await once(client, 'close')
  server.close()
  await once(server, 'close')
  return port
}
