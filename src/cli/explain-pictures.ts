import { createHash } from 'node:crypto';
import sharp from 'sharp';
import type { ExplainedPicture } from '../contract/explanation.js';
import { openStoreOf } from '../storage/open-store.js';

/** A picture as small as a page wants it, or why there is none. */
export type Thumbnail =
  | { readonly picture: ExplainedPicture; readonly dataUrl: string }
  | { readonly picture: ExplainedPicture; readonly missing: string };

/** Pixels of a thumbnail's longer side: twice what the page shows it at. */
const SIDE = 384;
/** A page of more would be of many megabytes. */
export const MOST_THUMBNAILS = 48;
/** How many are fetched at a time. */
const AT_A_TIME = 6;

/** Fetches pictures from where their jobs have stored them; the first ones, where there are many. */
export async function thumbnailsOf(pictures: readonly ExplainedPicture[]): Promise<Thumbnail[]> {
  const wanted = pictures.slice(0, MOST_THUMBNAILS);
  const thumbnails: Thumbnail[] = [];
  let next = 0;
  const turn = async (): Promise<void> => {
    for (let place = next++; place < wanted.length; place = next++) {
      const picture = wanted[place];
      if (picture) thumbnails[place] = await thumbnailOf(picture);
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, turn));
  return thumbnails;
}

async function thumbnailOf(picture: ExplainedPicture): Promise<Thumbnail> {
  try {
    const bytes = await openStoreOf(picture.url).get(picture.url);
    const found = createHash('sha256').update(bytes).digest('hex');
    if (found !== picture.sha256) return { picture, missing: 'another file lies there now' };
    const small = await sharp(bytes)
      .resize({ width: SIDE, height: SIDE, fit: 'inside', withoutEnlargement: true })
      .webp({ quality: 82 })
      .toBuffer();
    return { picture, dataUrl: `data:image/webp;base64,${small.toString('base64')}` };
  } catch (error) {
    const [reason = ''] = (error instanceof Error ? error.message : String(error)).split('\n');
    // Facts in brackets are for machines.
    return { picture, missing: reason.replace(/\s*\[[^\]]*\]$/, '') };
  }
}
