// A smaller list that still fails: leaves out parts of half its length, then shorter ones, while that keeps it failing.
// `failing(lists)` says of each of some lists whether it fails; all candidates of a round are asked at once.
export async function shrink(list, failing) {
  let part = Math.ceil(list.length / 2);
  for (let round = 0; round < 80 && list.length > 0 && part > 0; ++round) {
    const candidates = [];
    for (let at = 0; at < list.length; at += part) candidates.push([...list.slice(0, at), ...list.slice(at + part)]);
    const found = (await failing(candidates)).indexOf(true);
    if (found >= 0) list = candidates[found];
    else if (part === 1) break;
    else part = Math.ceil(part / 2);
    part = Math.min(part, Math.max(1, Math.ceil(list.length / 2)));
  }
  return list;
}
