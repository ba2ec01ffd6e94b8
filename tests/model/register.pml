/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The property: a block is a linearizable register.
 *
 * Values are the numbers of writes. That all values of a block are different makes this easy
 * (P. B. Gibbons and E. Korach, Testing Shared Memories, SIAM J. Comput. 26(4), 1997): a write and
 * the reads of its value are a cluster; cluster u is before cluster v if one of u ended
 * before one of v began. A history is linearizable if no read ends before its write began, and
 * no two clusters are before each other. So all there is to remember are after[u], the
 * clusters that u is before; done, the values that were answered or read; and for a read, what was
 * done when it began.
 *
 * A write that was failed upwards never ends for reads: they may see it from then on, or never.
 * But a write that begins after the failure was told must not be followed by it, so for writes it has
 * ended (failed). This is more than linearizability with pending operations demands, and what
 * whoever writes a block again after an error relies on. With it a cycle may have three clusters,
 * so after[] is kept transitive.
 */

byte after[NV], member[2], done, failed;
hidden byte u;

/* Clusters of a set are before a value's, and so is what is before them. */
inline are_before(set, value) {
	u = 0;
	do
	:: u < NV ->
		if
		:: (set & BIT(u)) || (after[u] & set) ->
			after[u] = after[u] | BIT(value) | after[value]
		:: else
		fi;
		u++
	:: else -> break
	od
}

inline write_begins(i, b) {
	w = (done | failed) & member[b];
	are_before(w, i);
	member[b] = member[b] | BIT(i)
}

inline read_ends(b, value, began) {
	assert(member[b] & BIT(value));		/* else it belongs elsewhere */
	assert(!(after[value] & began));	/* else it is stale */
	w = began & ~BIT(value);
	are_before(w, value);
	done = done | BIT(value)
}

proctype reader(byte b) {
end:	do
	:: d_step {
		i1 = disk[b]; v = done & member[b];
		read_ends(b, i1, v);
		printf("block %d is read: %d\n", b, i1) }
	od
}

