/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A file in YAML as a tree of words, lists and maps, each of which knows its place.
 *
 * Of YAML only what a configuration needs: a word is the text that is written there,
 * never a number or a truth value ("no" and 0123 are what they look like); there are no
 * anchors, aliases and tags, a key stands once, and a word is one line of text without
 * control characters.
 */
#ifndef RNBD_TOOL_TREE_H
#define RNBD_TOOL_TREE_H

#include <stddef.h>

#include "problem.h"

enum tree_kind {
	TREE_WORD,
	TREE_LIST,
	TREE_MAP,
	TREE_NOTHING,	/* a value that is left out */
};

struct tree {
	enum tree_kind	kind;
	struct place	place;
	const char	*text;		/* of a word */
	struct tree	*items;		/* of a list, or the values of a map */
	struct tree	*keys;		/* of a map */
	size_t		nr;
};

void tree_read(const char *file, const char *text, size_t len, struct tree *tree,
	       struct problems *problems);
const char *tree_kind_name(const struct tree *tree);

#endif
