// An application around the code of docs/clients/npm-clamscan.md, whose file is the
// first argument. For each line "scanFile PATH" or "scanStream PATH" that it reads it
// prints one line of JSON: the viruses, or the error.
const fs = require('node:fs');
const path = require('node:path');
const readline = require('node:readline');

const { scanFile, scanStream } = require(path.resolve(process.argv[2]));

async function answer(line) {
    const [how, file] = line.split(' ');
    try {
        const viruses = await (how === 'scanFile' ? scanFile(file) : scanStream(fs.createReadStream(file)));
        return { viruses };
    } catch (err) {
        return { error: String(err.message || err), cause: String(err.data?.err?.message || '') };
    }
}

(async () => {
    for await (const line of readline.createInterface({ input: process.stdin })) {
        process.stdout.write(JSON.stringify(await answer(line)) + '\n');
    }
})();
