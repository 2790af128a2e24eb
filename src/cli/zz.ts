import fs from 'node:fs'
import { readText } from './documents.ts'
import { convert } from './convert.ts'
import { toYaml, toJson, findingLine, problemLine } from './print.ts'
import { profiles } from '../translate/profiles.ts'
import { parseAllDocuments, Parser, Composer } from 'yaml'
let seed = +(process.argv[2]??1); const rnd=(n:number)=>{seed=(Math.imul(seed,1103515245)+12345)&0x7fffffff; return seed%n}
const files=['/work/main/examples/kubeflow/team-a.yaml','/work/main/examples/kubeflow/kubeflow.yaml','/work/shared/corpus/kubeflow/dex.yaml','/work/shared/corpus/kubeflow/oauth2-proxy.yaml'].map(f=>fs.readFileSync(f,'utf8'))
const bits=['---\n','...\n','\n','  ','\t','"',"'",'{','}','[',']',':',': ','- ','|','>','&a ','*a','!x ','!!str ','<<: *a','#','%YAML 1.1\n','\r\n','? ',',','null','~','1e400','.inf','\u2028','\ufeff','0x','{{ .Values.x }}','__proto__: 1\n','constructor: 1\n','@','`','\u00a0','items:\n','kind: List\n']
let n=0,max=0;const seen=new Set<string>()
const t0=Date.now()
while(Date.now()-t0<60000){
  let t=files[rnd(files.length)]!
  if(rnd(3)==0){const a=rnd(t.length);t=t.slice(a,a+rnd(400))}
  for(let i=rnd(8);i>=0;i--){const a=rnd(t.length+1);const k=rnd(4);t=k==0?t.slice(0,a)+t.slice(a+rnd(20)):t.slice(0,a)+bits[rnd(bits.length)]+t.slice(a+(k==1?1:0))}
  const s=Date.now()
  try{
    const r=readText('f',t)
    const ids=r.inputs
    const c=convert(ids,{settings:profiles.kubeflow})
    const y=toYaml(c.printed); toJson(c.printed); c.findings.map(f=>findingLine(f,false)); r.problems.map(p=>problemLine(p,true))
    // reading back gives the same data
    const again=readText('g',y)
    if(again.problems.length||JSON.stringify(again.inputs.map(i=>i.object))!==JSON.stringify(c.printed.map(p=>p.object))) {
      const a=again.inputs.map(i=>i.object), b=c.printed.map(p=>p.object)
      const norm=(x:any):any=>Array.isArray(x)?x.map(norm):x&&typeof x==='object'?Object.fromEntries(Object.keys(x).sort().map(k=>[k,norm(x[k])])):x
      if(again.problems.length||JSON.stringify(norm(a))!==JSON.stringify(norm(JSON.parse(JSON.stringify(b))))){console.log('ROUNDTRIP',JSON.stringify(t).slice(0,1500),again.problems); process.exit()}
    }
  }catch(e){const st=(e as Error).stack!.split('\n').slice(0,2).join(' '); if(seen.has(st))continue; seen.add(st); console.log('THROW',(e as Error).stack?.slice(0,400),JSON.stringify(t).slice(0,300))}
  max=Math.max(max,Date.now()-s);n++
}
console.log(n,max)
