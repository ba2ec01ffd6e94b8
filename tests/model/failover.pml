/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Failover between two paths of a session, for the model checker spin.
 *
 * Question: do single blocks stay linearizable registers, whatever dies when?
 *
 * What is modelled
 *
 *   client	Writes and reads of single blocks. A request takes a chunk, which no other
 *		request of the session has, and goes out over any path that is up, stamped
 *		with path and incarnation. When the path dies it is in doubt, and held. It
 *		goes out again once it is fenced. A timer may fail a write that is held
 *		(TIMER); what it left in its chunk rests there until it is fenced.
 *   path	Each side notices its death at a time of its own, and in any step. The server
 *		takes the next incarnation only when nothing of the last one is executing; the
 *		client hears of that later, or gives up.
 *   server	What is on its way arrives while the server's side of the path lives, else it is
 *		lost. An operation takes effect at any time between its arrival and its end, also
 *		after its path died. The reply may be lost. Data stays in the chunk's memory,
 *		which all paths share, until the operation takes effect.
 *   FENCE	names path and incarnation, goes out over the other path, arrives late or never.
 *		The server ends the incarnation, drops what is on its way, and only then looks which
 *		chunks have an operation executing. The answer may be late, too. The client applies
 *		it to the chunks with that stamp, and asks again for those that are busy. With NF=2
 *		there are two at a time, which may name the same incarnation.
 *   RESTART	the server ends at any step and forgets all but the disk: it is booted (another
 *		instance, and all operations are gone), or its modules are reloaded (the same
 *		instance, after all operations ended).
 *   IN_TREE	a server without FENCE, and the rule unfenced_failover=wait: only the next
 *		incarnation of the same path fences. A read moves to another chunk at once.
 *   IN_TREE_CLIENT	a client that sends again at once in the same chunk, and our server: each
 *		path has memory of its own, and an operation is held while another path's in the
 *		same chunk is unfinished. One path is up at any time then, nothing is on its way any
 *		more when the client notices the death of a path, and the client's user does not
 *		write a block while another write of it is unanswered; without that no server can help.
 *
 * The property, and what makes it cheap to check, is in register.pml.
 *
 * Bounds
 *
 *   NW writes (of which those from TWO on may go to a second block) and NR reads through the protocol, 2
 *   chunks, 2 paths of NINC incarnations each, NF messages FENCE, one restart. test_model.py has
 *   the numbers. Any number of reads at single moments, see below.
 *
 * What is left out, and why that hides nothing
 *
 *   - A request begins when it is first sent, and not before it waits for others: a shorter
 *     interval forbids more.
 *   - reader() reads disks without protocol or delay. Its reads are a subset of those that some other
 *     client could make, and need no states.
 *   - Writes begin in the order of their numbers and the first one is of block 0: they
 *     differ in nothing else.
 *   - A reply is received in the moment that the operation ends, or never. A later one
 *     would look to the server like one that was received, and to the client like an operation
 *     that ended later.
 *   - The server rejects connections of an incarnation that was fenced. In the model none comes: each
 *     attempt has its own number. In the driver a request for a connection that is
 *     late brings no request of a block with it, because the client sends none
 *     before all connections of an incarnation are there.
 *   - What a power loss takes from a volatile cache is told by flushes that fail, and
 *     is not a matter of paths: the disk of the model loses nothing.
 *   - Discards and zeroings are writes. A request of many blocks is one of each block, with one chunk.
 *
 * What must make spin find a counter-example
 *
 *   NO_FENCE	requests in doubt go out again at once
 *   NO_STAMP	an answer is applied to all that is in doubt on the path
 *   NO_OVERLAP	writes of a block do not wait for each other
 *   NO_CHUNK_RULE	a request that is failed gives its chunk back
 *   BUSY_FIRST	the server looks which chunks are busy before it drops what is on its way
 *   NO_HOLD	the server holds no operation for another path's in the same chunk
 *   FROM_DOUBT	a write waits only for those that were in doubt before it. That is not
 *		enough: W1 is executed, and the reply lost; somebody reads W1; W2
 *		is sent, executed, answered, and read; then the death of the path is noticed, W1 is
 *		in doubt, fenced, sent again, executed again, and read after W2. So the rule is that
 *		a write waits for each unanswered write of the same block, from the moment that is sent.
 *
 *   ONCE	is another way out, and what the driver does with a server of its own, see
 *		src/rtrs/client/fence.c: the server remembers for each chunk which request ended in it
 *		last, and a write that did is not sent again after the fence. Then writes wait only for those that
 *		were failed upwards. It holds as long as the server remembers: not over a RESTART.
 */

#ifndef NW
#define NW	3
#endif
#ifndef TWO
#define TWO	(NW + 1)
#endif
#ifndef NR
#define NR	0
#endif
#ifndef NINC
#define NINC	2
#endif
#ifndef NF
#define NF	1
#endif
#define NC	2
#define NV	(NW + 2)

#define BIT(n)		(1 << (n))
#define OTHER(p)	(1 - (p))
#define INIT(b)		((b) * (NW + 1))	/* the value that block b begins with */
#define IS_WRITE(i)	((i) <= NW)

/* loops inside of d_step end with this, since a d_step must not end with a loop */
#define DONE_STEP	u = 0

/* Requests: 1 ... NW are writes of that value, the others are reads; 0 is none. */
#define NEW	0
#define POSTED	1	/* has a chunk */
#define HELD	2	/* fenced, to be sent again */
#define FAILED	3	/* a write that was failed upwards and is not fenced */
#define OVER	4
byte r_st[NW + NR + 1], r_blk[NW + NR + 1], r_began[NW + NR + 1];
bool r_doubt[NW + NR + 1];

/* Chunks: the client's view of them, stamps included, and their memory. */
#define FREE	0
#define SENT	1
#define DOUBT	2
#define REST	3	/* nobody waits for the answer */
byte c_st[NC], c_who[NC], c_path[NC], c_inc[NC];
byte s_last[NC];	/* ONCE: whose operation ended there last */

/* Paths: l_ is the client's side, s_ the server's. */
#define DOWN	0
#define ASKED	1	/* accepted by the server, the client has not heard of it */
#define UP	2
byte l_st[2] = UP, l_inc[2] = 1, s_inc[2] = 1;
bool s_up[2] = true;

/* The message of a request, then its operation on the server, by path and chunk. */
#define NONE	0
#define NET	1
#define EXEC	2
#define EFFECT	3	/* it has taken effect, and not ended */
#define HOLD	4
#define X(p, c)		((p) * NC + (c))
#define BUSY(p, c)	(x_st[X(p, c)] > NET)
#define IDLE(p)		(x_st[X(p, 0)] == NONE && x_st[X(p, 1)] == NONE)
byte x_st[2 * NC], x_who[2 * NC];

#ifdef IN_TREE_CLIENT
byte mem[2 * NC];
#define MEM(p, c)	mem[X(p, c)]
#else
byte mem[NC];
#define MEM(p, c)	mem[c]
#endif

/* Messages FENCE. */
#define READY	2	/* the server has ended the incarnation */
#define ANSWER	3
byte f_st[NF], f_path[NF], f_inc[NF], f_busy[NF];
bool f_lost[NF];	/* the path that would carry the answer is gone */

bool restarted, s_instance, l_instance, a_instance[2];

byte disk[2];

/* what d_steps compute with; no part of the state */
hidden byte i1, n1, v, w;

#include "register.pml"

/* ------------------------------------------------------- both sides' chunks */

inline free_chunk(c) {
	c_st[c] = FREE; c_who[c] = 0; c_path[c] = 0; c_inc[c] = 0
}

inline send(i, p, c) {
	c_st[c] = SENT; c_who[c] = i; c_path[c] = p; c_inc[c] = l_inc[p];
	r_st[i] = POSTED;
	printf("request %d goes out, path %d chunk %d\n", i, p, c);
	if
	:: s_up[p] && s_inc[p] == l_inc[p] -> x_st[X(p, c)] = NET; x_who[X(p, c)] = i
	:: else
	fi
}

inline request_ends(i) {
	r_st[i] = OVER; r_doubt[i] = false
}

#ifdef ONCE
#define EXECUTED(c)	(IS_WRITE(c_who[c]) && s_last[c] == c_who[c])
#else
#define EXECUTED(c)	false
#endif

/* A chunk is fenced: its request goes out again, unless nobody waits for it. */
inline settle(c) {
	if
	:: c_st[c] == DOUBT && EXECUTED(c) -> done = done | BIT(c_who[c]); request_ends(c_who[c])
	:: c_st[c] == DOUBT && !EXECUTED(c) -> r_st[c_who[c]] = HELD
	:: c_st[c] == REST -> request_ends(c_who[c])
	:: else
	fi;
	free_chunk(c)
}

inline fence_is_gone(k) {
	f_st[k] = NONE; f_path[k] = 0; f_inc[k] = 0; f_busy[k] = 0; f_lost[k] = false
}

inline doubt(c, p) {
	r_doubt[c_who[c]] = true;
#ifdef IN_TREE_CLIENT
	i1 = c_who[c];
	x_st[X(p, c)] = (x_st[X(p, c)] == NET -> NONE : x_st[X(p, c)]);
	x_who[X(p, c)] = (x_st[X(p, c)] == NONE -> 0 : x_who[X(p, c)]);
	send(i1, OTHER(p), c)
#else
	c_st[c] = DOUBT;
#ifdef NO_FENCE
	settle(c)
#endif
#endif
}

/* The client's side of a path is gone. */
inline client_leaves(p) {
	printf("path %d: dead for the client\n", p);
	l_st[p] = DOWN;
	v = 0;
	do
	:: v < NC && c_st[v] == SENT && c_path[v] == p -> doubt(v, p); v++
	:: v < NC && !(c_st[v] == SENT && c_path[v] == p) -> v++
	:: else -> break
	od;
	v = 0;
	do
	:: v < NF && f_st[v] == ANSWER && f_path[v] != p -> fence_is_gone(v); v++
	:: v < NF && f_st[v] != ANSWER && f_st[v] != NONE && f_path[v] != p -> f_lost[v] = true; v++
	:: v < NF && (f_st[v] == NONE || f_path[v] == p) -> v++
	:: else -> break
	od
}

/* The server's side of a path is gone; what is executing goes on. */
inline server_leaves(p) {
	printf("path %d: dead for the server\n", p);
	s_up[p] = false;
	v = 0;
	do
	:: v < NC && x_st[X(p, v)] == NET -> x_st[X(p, v)] = NONE; x_who[X(p, v)] = 0; v++
	:: v < NC && x_st[X(p, v)] != NET -> v++
	:: else -> break
	od;
	v = 0;
	do
	:: v < NF && f_st[v] == NET && f_path[v] != p -> fence_is_gone(v); v++
	:: v < NF && f_st[v] == READY && f_path[v] != p -> f_lost[v] = true; v++
	:: v < NF && (f_path[v] == p || (f_st[v] != NET && f_st[v] != READY)) -> v++
	:: else -> break
	od
}

/* --------------------------------------------------------------- requests */

#if defined(NO_OVERLAP)
#define HINDERS(j)	false
#elif defined(FROM_DOUBT)
#define HINDERS(j)	r_doubt[j]
#elif defined(ONCE)
#define HINDERS(j)	(r_st[j] == FAILED)
#else
#define HINDERS(j)	(r_st[j] != NEW && r_st[j] != OVER)
#endif
#define CLASH(j, i, b)	((i) != (j) && r_blk[j] == (b) && HINDERS(j))
#if NW > 2
#define MAY_WRITE(i, b)	!(CLASH(1, i, b) || CLASH(2, i, b) || CLASH(3, i, b))
#else
#define MAY_WRITE(i, b)	!(CLASH(1, i, b) || CLASH(2, i, b))
#endif

#define CAN_SEND	((c_st[0] == FREE || c_st[1] == FREE) && (l_st[0] == UP || l_st[1] == UP))
#define HAS_DOUBT(i, c)	(c_who[c] == i && c_st[c] == DOUBT)
#define IN_DOUBT(i)	(HAS_DOUBT(i, 0) || HAS_DOUBT(i, 1))

inline choose_path_and_chunk(p, c) {
	if
	:: l_st[0] == UP -> p = 0
	:: l_st[1] == UP -> p = 1
	fi;
	if
	:: c_st[0] == FREE -> c = 0
	:: c_st[1] == FREE -> c = 1
	fi
}

proctype write(byte i) {
	byte p, c;
end:	do
	:: atomic {
		r_st[i] == NEW && (i == 1 || r_st[i - 1] != NEW) && CAN_SEND ->
		if
		:: MAY_WRITE(i, 0) -> r_blk[i] = 0
		:: i >= TWO && MAY_WRITE(i, 1) -> r_blk[i] = 1
		fi;
		choose_path_and_chunk(p, c);
		d_step {
			write_begins(i, r_blk[i]);
			send(i, p, c);
			p = 0; c = 0 } }
#ifndef IN_TREE_CLIENT
	:: atomic {
		r_st[i] == HELD && CAN_SEND ->
		choose_path_and_chunk(p, c);
		d_step { send(i, p, c); p = 0; c = 0 } }
#endif
#ifdef TIMER
	:: atomic { r_st[i] == HELD -> d_step {
		request_ends(i); failed = failed | BIT(i);
		printf("request %d fails upwards\n", i) } }
	:: atomic { IN_DOUBT(i) -> d_step {
		w = (HAS_DOUBT(i, 0) -> 0 : 1);
		r_st[i] = FAILED; failed = failed | BIT(i);
		printf("request %d fails upwards, in doubt\n", i);
#ifdef NO_CHUNK_RULE
		free_chunk(w) } }
#else
		c_st[w] = REST } }
#endif
#endif
	od
}

#if NR
proctype read(byte i) {
	byte p, c;
end:	do
	:: atomic {
		r_st[i] == NEW && CAN_SEND ->
		choose_path_and_chunk(p, c);
		d_step {
			r_began[i] = done & member[0];
			send(i, p, c);
			p = 0; c = 0 } }
	:: atomic {
		r_st[i] == HELD && CAN_SEND ->
		choose_path_and_chunk(p, c);
		d_step { send(i, p, c); p = 0; c = 0 } }
#ifdef IN_TREE
	:: atomic { IN_DOUBT(i) -> d_step {
		w = (HAS_DOUBT(i, 0) -> 0 : 1);
		c_st[w] = REST; c_who[w] = 0; r_st[i] = HELD } }
#endif
	od
}
#endif

/* ------------------------------------------------------------------ paths */

/* A path is up again, which the server allows only after all of its last incarnation ended. */
inline next_incarnation(p) {
	l_st[p] = UP;
	w = 0;
	do
	:: w < NC && c_st[w] != FREE && c_path[w] == p && c_inc[w] < l_inc[p] -> settle(w); w++
	:: w < NC && !(c_st[w] != FREE && c_path[w] == p && c_inc[w] < l_inc[p]) -> w++
	:: else -> break
	od
}

/* Another instance of the server: whatever there was before is over. */
inline next_instance(p) {
	n1 = OTHER(p);
	client_leaves(n1);
	w = 0;
	do
	:: w < NC && c_st[w] != FREE -> settle(w); w++
	:: w < NC && c_st[w] == FREE -> w++
	:: else -> break
	od;
	l_st[p] = UP; l_instance = a_instance[p]
}

#ifdef IN_TREE_CLIENT
#define MAY_DIE(p)	(l_st[OTHER(p)] == UP)
#else
#define MAY_DIE(p)	true
#endif

proctype path(byte p) {
end:	do
	:: atomic { l_st[p] == UP && MAY_DIE(p) -> d_step { client_leaves(p); DONE_STEP } }
	:: atomic { s_up[p] -> d_step { server_leaves(p); DONE_STEP } }
	:: atomic { l_st[p] == DOWN && l_inc[p] < NINC && !s_up[p] && IDLE(p) -> d_step {
		l_inc[p]++;
		l_st[p] = ASKED; s_inc[p] = l_inc[p]; s_up[p] = true;
		a_instance[p] = s_instance;
		printf("path %d: incarnation %d\n", p, l_inc[p]) } }
	:: atomic { l_st[p] == ASKED -> d_step { l_st[p] = DOWN } }
	:: atomic { l_st[p] == ASKED && a_instance[p] == l_instance -> d_step { next_incarnation(p); DONE_STEP } }
#if defined(RESTART) && !defined(IN_TREE)
	:: atomic { l_st[p] == ASKED && a_instance[p] != l_instance -> d_step { next_instance(p); DONE_STEP } }
#endif
	od
}

/* ------------------------------------------------------------- the server */

inline operation_is_gone(p, c) {
	x_st[X(p, c)] = NONE; x_who[X(p, c)] = 0
}

#define WHO(p, c)	x_who[X(p, c)]
#ifdef IN_TREE_CLIENT
#ifdef NO_HOLD
#define MUST_HOLD(p, c)	false
#else
#define MUST_HOLD(p, c)	BUSY(OTHER(p), c)
#endif
#else
#define MUST_HOLD(p, c)	false
#endif
#define IS_HEARD(p, c)	(s_up[p] && l_st[p] == UP && s_inc[p] == l_inc[p] && \
			 c_st[c] == SENT && c_path[c] == p)

inline reply(p, c) {
	assert(c_who[c] == WHO(p, c));
	i1 = c_who[c];
	printf("request %d is answered\n", i1);
	if
	:: IS_WRITE(i1) -> done = done | BIT(i1)
	:: else -> v = MEM(p, c); read_ends(0, v, r_began[i1]); r_began[i1] = 0
	fi;
	request_ends(i1);
	free_chunk(c)
}

proctype operation(byte p; byte c) {
end:	do
	:: atomic { x_st[X(p, c)] == NET && s_up[p] -> d_step {
		x_st[X(p, c)] = (MUST_HOLD(p, c) -> HOLD : EXEC);
		if
		:: IS_WRITE(WHO(p, c)) -> MEM(p, c) = WHO(p, c)
		:: else
		fi;
		DONE_STEP } }
#ifdef IN_TREE_CLIENT
#ifndef NO_HOLD
	:: atomic { x_st[X(p, c)] == HOLD && !BUSY(OTHER(p), c) -> d_step { x_st[X(p, c)] = EXEC } }
#endif
#endif
	:: atomic { x_st[X(p, c)] == EXEC -> d_step {
		x_st[X(p, c)] = EFFECT;
		printf("path %d chunk %d: request %d takes effect\n", p, c, WHO(p, c));
		if
		:: IS_WRITE(WHO(p, c)) -> disk[r_blk[WHO(p, c)]] = MEM(p, c)
		:: else -> MEM(p, c) = disk[0]
		fi;
		DONE_STEP } }
	:: atomic { (x_st[X(p, c)] == EXEC || x_st[X(p, c)] == HOLD) && !s_up[p] -> d_step {
		operation_is_gone(p, c) } }
	:: atomic { x_st[X(p, c)] == EFFECT && IS_HEARD(p, c) -> d_step {
		reply(p, c);
		operation_is_gone(p, c) } }
	:: atomic { x_st[X(p, c)] == EFFECT -> d_step {
#ifdef ONCE
		s_last[c] = WHO(p, c);
#endif
		operation_is_gone(p, c) } }
	od
}

#ifdef RESTART
inline server_forgets() {
	server_leaves(0); server_leaves(1);
	v = 0;
	do
	:: v < NC -> operation_is_gone(0, v); operation_is_gone(1, v); s_last[v] = 0; v++
	:: else -> break
	od;
	v = 0;
	do
	:: v < NF && f_st[v] != ANSWER -> fence_is_gone(v); v++
	:: v < NF && f_st[v] == ANSWER -> v++
	:: else -> break
	od;
	s_inc[0] = 0; s_inc[1] = 0; restarted = true;
	printf("the server begins anew\n")
}

proctype restart() {
end:	do
	:: atomic { !restarted -> d_step {
		server_forgets();
#ifndef IN_TREE
		s_instance = !s_instance;
#endif
		DONE_STEP } }
	:: atomic { !restarted && !BUSY(0, 0) && !BUSY(0, 1) && !BUSY(1, 0) && !BUSY(1, 1) -> d_step {
		server_forgets(); DONE_STEP } }
	od
}
#endif

/* ------------------------------------------------------------------ FENCE */

#define UNFENCED(p, c)	((c_st[c] == DOUBT || c_st[c] == REST) && c_path[c] == p)
#ifdef NO_STAMP
#define STAMP_FITS(c, k)	true
#else
#define STAMP_FITS(c, k)	(c_inc[c] == f_inc[k])
#endif
#define FENCED(k, c)	(UNFENCED(f_path[k], c) && STAMP_FITS(c, k) && !(f_busy[k] & BIT(c)))

/* Of the incarnations up to the one that is named. */
inline look_who_is_busy(k, p) {
	f_busy[k] = (s_inc[p] <= f_inc[k] -> BUSY(p, 0) | (BUSY(p, 1) << 1) : 0)
}

inline end_incarnation(k, p) {
	if
	:: s_inc[p] <= f_inc[k] -> server_leaves(p)
	:: else
	fi
}

#ifdef BUSY_FIRST
#define FIRST(k, p)	look_who_is_busy(k, p)
#define SECOND(k, p)	end_incarnation(k, p)
#else
#define FIRST(k, p)	end_incarnation(k, p)
#define SECOND(k, p)	look_who_is_busy(k, p)
#endif

#if !defined(IN_TREE) && !defined(IN_TREE_CLIENT)
proctype fence(byte k) {
end:	do
	:: atomic {
		f_st[k] == NONE ->
		if
		:: l_st[1] == UP && UNFENCED(0, 0) -> f_path[k] = 0; f_inc[k] = c_inc[0]
		:: l_st[1] == UP && UNFENCED(0, 1) -> f_path[k] = 0; f_inc[k] = c_inc[1]
		:: l_st[0] == UP && UNFENCED(1, 0) -> f_path[k] = 1; f_inc[k] = c_inc[0]
		:: l_st[0] == UP && UNFENCED(1, 1) -> f_path[k] = 1; f_inc[k] = c_inc[1]
		fi;
		/* the server's side may be gone, and the client not know it */
		if
		:: s_up[OTHER(f_path[k])] && s_inc[OTHER(f_path[k])] == l_inc[OTHER(f_path[k])] -> f_st[k] = NET
		:: else -> fence_is_gone(k)
		fi }
	:: atomic { f_st[k] == NET -> d_step {
		printf("FENCE of path %d incarnation %d arrives\n", f_path[k], f_inc[k]);
		n1 = f_path[k]; f_st[k] = READY; FIRST(k, n1); DONE_STEP } }
	:: atomic { f_st[k] == READY && f_lost[k] -> d_step { fence_is_gone(k) } }
	:: atomic { f_st[k] == READY && !f_lost[k] -> d_step {
		n1 = f_path[k]; f_st[k] = ANSWER; SECOND(k, n1); DONE_STEP } }
	:: atomic { f_st[k] == ANSWER -> d_step {
		printf("FENCE of path %d incarnation %d is answered, busy %d\n", f_path[k], f_inc[k], f_busy[k]);
		w = 0;
		do
		:: w < NC && FENCED(k, w) -> settle(w); w++
		:: w < NC && !FENCED(k, w) -> w++
		:: else -> break
		od;
		fence_is_gone(k) } }
	od
}
#endif

init {
	atomic {
		disk[1] = INIT(1);
		member[0] = BIT(INIT(0)); member[1] = BIT(INIT(1));
		done = BIT(INIT(0)) | BIT(INIT(1));
		r_st[0] = OVER;
		run path(0); run path(1);
		run operation(0, 0); run operation(0, 1);
		run operation(1, 0); run operation(1, 1);
		run write(1); run write(2);
#if NW > 2
		run write(3);
#endif
#if NR
		run read(NW + 1);
#endif
#if !defined(IN_TREE) && !defined(IN_TREE_CLIENT)
		run fence(0);
#if NF > 1
		run fence(1);
#endif
#endif
#ifdef RESTART
		run restart();
#endif
		run reader(0);
#if TWO <= NW
		run reader(1)
#endif
	}
}
