// node fastify.mjs PORT CERTIFICATE KEY. In plain JavaScript, so that nothing is loaded but what is measured.
import { readFileSync } from 'node:fs'
import Fastify from 'fastify'

const [port, certFile, keyFile] = process.argv.slice(2)

const app = Fastify({
  https: { cert: readFileSync(certFile), key: readFileSync(keyFile) },
  bodyLimit: 7 * 1024 * 1024,
  keepAliveTimeout: 90_000,
})
app.post('/mutate', request => {
  const { uid } = request.body.request
  return { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response: { uid, allowed: true } }
})
await app.listen({ host: '127.0.0.1', port: Number(port) })
