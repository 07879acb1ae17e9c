import sharp from 'sharp';
import { InvalidRequest } from '../contract/errors.js';
import { Provenance } from '../contract/job.js';
import { parse } from '../contract/parse.js';

/** Our XML namespace: a name, not an address. It never changes, or old pictures could not be read any more. */
const NAMESPACE = 'urn:temporal-diffusion:provenance:1';

/** What IPTC calls pictures that a trained model made; other software looks for it. */
const SOURCE_TYPE = 'http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia';

/** Writes how a picture was made as an XMP packet: for us as JSON, and for everybody's viewers as its description. */
export function writeProvenance(provenance: Provenance): string {
  return [
    '<?xpacket begin="\uFEFF" id="W5M0MpCehiHzreSzNTczkc9d"?>',
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">',
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">',
    '<rdf:Description rdf:about=""',
    ' xmlns:dc="http://purl.org/dc/elements/1.1/"',
    ' xmlns:xmp="http://ns.adobe.com/xap/1.0/"',
    ' xmlns:iptc="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"',
    ` xmlns:td="${NAMESPACE}">`,
    `<xmp:CreatorTool>${escapeXml(provenance.software)}</xmp:CreatorTool>`,
    `<iptc:DigitalSourceType>${SOURCE_TYPE}</iptc:DigitalSourceType>`,
    `<dc:description><rdf:Alt><rdf:li xml:lang="x-default">${escapeXml(provenance.prompt)}</rdf:li></rdf:Alt></dc:description>`,
    `<td:provenance>${escapeXml(toJson(provenance))}</td:provenance>`,
    '</rdf:Description></rdf:RDF></x:xmpmeta>',
    '<?xpacket end="r"?>',
  ].join('');
}

/**
 * Reads back how a picture was made.
 * @param picture a file's path, or its bytes
 * @throws InvalidRequest where it is no picture, or not one of ours
 */
export async function readProvenance(picture: string | Uint8Array): Promise<Provenance> {
  const xmp = await readXmp(picture);
  const json = /<td:provenance>([^<]*)<\/td:provenance>/.exec(xmp)?.[1];
  if (json === undefined) {
    throw new InvalidRequest('expected a picture with its provenance in its metadata, found none');
  }
  return parse(Provenance, fromJson(unescapeXml(json)));
}

async function readXmp(picture: string | Uint8Array): Promise<string> {
  try {
    const { xmp } = await sharp(picture).metadata();
    return xmp?.toString('utf8') ?? '';
  } catch (error) {
    throw new InvalidRequest('expected a picture, but it can not be read as one', { cause: error });
  }
}

/**
 * JSON without the characters that XML 1.0 can't hold in any form, and without those that parsers may normalise.
 * JSON itself has already escaped C0 controls and lone surrogates.
 */
function toJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\u007F-\u009F\uFFFE\uFFFF]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function fromJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new InvalidRequest('the provenance in the picture is damaged', { cause: error });
  }
}

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' };
const characters = Object.fromEntries(
  Object.entries(entities).map(([character, entity]) => [entity, character]),
);

function escapeXml(text: string): string {
  return text
    .replace(
      /[\uFFFE\uFFFF]|[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/g,
      '\uFFFD',
    )
    .replace(/[&<>]/g, (character) => entities[character] ?? character);
}

function unescapeXml(text: string): string {
  return text.replace(/&(?:amp|lt|gt);/g, (entity) => characters[entity] ?? entity);
}
