import { connect as connectTcp } from 'node:net'
import { text } from 'node:stream/consumers'
import { connect as connectTls } from 'node:tls'

export interface Request {
  method?: string
  /** The request target, sent as it is. */
  path?: string
  host?: string
  /** Sent as they are, in this order. */
  headers?: readonly (readonly [name: string, value: string])[]
}

export interface Response {
  status: number
  /** Names in lower case. */
  headers: Record<string, string>
  body: string
}

/** Sends one HTTP/1.1 request byte by byte as asked for: every client library would tidy paths, methods and headers. */
export async function send(port: number, request: Request, overTls = false): Promise<Response> {
  const { method = 'GET', path = '/', host = 'foo.com', headers = [] } = request
  const lines = [`${method} ${path} HTTP/1.1`, `Host: ${host}`, 'Connection: close']
  for (const [name, value] of headers) lines.push(`${name}: ${value}`)
  const address = { port, host: '127.0.0.1' }
  // Nothing but a certificate made for this test can be at the other end.
  const socket = overTls ? connectTls({ ...address, rejectUnauthorized: false }) : connectTcp(address)
  // Not end(): Envoy takes a half-closed connection for a client that has gone.
  socket.write(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')
  return parse(await text(socket))
}

function parse(response: string): Response {
  const end = response.indexOf('\r\n\r\n')
  const [status = '', ...fields] = response.slice(0, end).split('\r\n')
  const headers: Record<string, string> = {}
  for (const field of fields) {
    const [, name = '', value = ''] = /^([^:]+):\s*(.*)$/.exec(field) ?? []
    headers[name.toLowerCase()] = value
  }
  return { status: Number(status.split(' ')[1]), headers, body: response.slice(end + 4) }
}
