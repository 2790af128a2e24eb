// The module, which pepr's image runs after unpacking it.
import { PeprModule } from 'pepr'
import { Ambient } from './ambient'
import cfg from './package.json'

const module = new PeprModule(cfg, [Ambient], { deferStart: true })
// pepr hands the port on to listen(), which takes a host too; on its own it would listen on all addresses.
module.start({ host: '127.0.0.1', port: Number(process.env.PORT) } as unknown as number)
