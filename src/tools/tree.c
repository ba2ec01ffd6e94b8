// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * From YAML to a tree: see tree.h. The events of libyaml come one after the other; each
 * function here takes those of one node. The first error ends a file, since what follows
 * may mean anything; what was read until then is not used.
 */
#include <string.h>

#include <yaml.h>

#include "tree.h"

#define TREE_DEPTH_MAX	8
#define TREE_ITEMS_MAX	4096	/* of a list or a map */

struct tree_reader {
	yaml_parser_t		parser;
	yaml_event_t		event;		/* the one that is to be taken next */
	const char		*file;
	const char		*text;
	size_t			len;
	struct problems		*problems;
};

static struct place tree_place(const struct tree_reader *reader, const yaml_mark_t *mark)
{
	return (struct place){ reader->file, mark->line + 1, mark->column + 1 };
}

static bool tree_refuse(struct tree_reader *reader, const char *why)
{
	const struct place place = tree_place(reader, &reader->event.start_mark);

	problem_add(reader->problems, &place, "%s", why);
	return false;
}

/* The place of a byte: for what is no text, libyaml tells nothing else. */
static struct place tree_place_of(const struct tree_reader *reader, size_t offset)
{
	struct place place = { reader->file, 1, 1 };
	size_t i;

	for (i = 0; i < offset && i < reader->len; i++) {
		place.column++;
		if (reader->text[i] == '\n') {
			place.line++;
			place.column = 1;
		}
	}
	return place;
}

/* Whether a line is indented with a tab. */
static bool tree_has_tab(const struct tree_reader *reader, size_t line)
{
	const char *text = reader->text, *end = text + reader->len;

	while (line-- > 1) {
		text = memchr(text, '\n', end - text);
		if (!text)
			return false;
		text++;
	}
	while (text < end && *text == ' ')
		text++;
	return text < end && *text == '\t';
}

/* What libyaml does not understand. */
static bool tree_is_no_yaml(struct tree_reader *reader)
{
	const yaml_parser_t *parser = &reader->parser;
	struct place place = tree_place(reader, &parser->problem_mark);

	if (parser->error == YAML_READER_ERROR)
		place = tree_place_of(reader, parser->problem_offset);
	if (tree_has_tab(reader, place.line))
		problem_add(reader->problems, &place, "a tab: indent with spaces");
	else
		problem_add(reader->problems, &place, "this is no YAML: %s",
			    parser->problem ? parser->problem : "out of memory");
	return false;
}

/* On with the next event; false: there is none. */
static bool tree_next(struct tree_reader *reader)
{
	yaml_event_delete(&reader->event);
	if (!yaml_parser_parse(&reader->parser, &reader->event))
		return tree_is_no_yaml(reader);
	return true;
}

/* Anchors and tags are of no use here: they would only be misunderstood. */
static bool tree_is_plain(struct tree_reader *reader)
{
	const yaml_event_t *event = &reader->event;
	const void *anchor = NULL, *tag = NULL;

	if (event->type == YAML_ALIAS_EVENT)
		return tree_refuse(reader, "an alias (*NAME): quote the word if it begins with \"*\"");
	if (event->type == YAML_SCALAR_EVENT) {
		anchor = event->data.scalar.anchor;
		tag = event->data.scalar.tag;
	} else if (event->type == YAML_SEQUENCE_START_EVENT) {
		anchor = event->data.sequence_start.anchor;
		tag = event->data.sequence_start.tag;
	} else if (event->type == YAML_MAPPING_START_EVENT) {
		anchor = event->data.mapping_start.anchor;
		tag = event->data.mapping_start.tag;
	}
	if (anchor)
		return tree_refuse(reader, "an anchor (&NAME): quote the word if it begins with \"&\"");
	if (tag)
		return tree_refuse(reader, "a tag (!NAME): quote the word if it begins with \"!\"");
	return true;
}

static bool tree_is_line(const char *text, size_t len)
{
	uint32_t code;
	size_t i = 0;

	if (strlen(text) != len)
		return false;
	while (i < len) {
		size_t bytes = text_char(text + i, &code);

		if (!bytes || text_is_unsafe(code))
			return false;
		i += bytes;
	}
	return true;
}

static bool tree_take_word(struct tree_reader *reader, struct tree *tree)
{
	const char *text = (const char *)reader->event.data.scalar.value;
	size_t len = reader->event.data.scalar.length;

	if (!tree_is_line(text, len))
		return tree_refuse(reader, "a word with a line break or a control character");
	tree->kind = TREE_WORD;
	if (!len && reader->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
		tree->kind = TREE_NOTHING;
	tree->text = text_format("%s", text);
	return tree_next(reader);
}

static bool tree_take(struct tree_reader *reader, struct tree *tree, int depth);

static bool tree_take_list(struct tree_reader *reader, struct tree *tree, int depth)
{
	tree->kind = TREE_LIST;
	if (!tree_next(reader))
		return false;
	while (reader->event.type != YAML_SEQUENCE_END_EVENT) {
		if (tree->nr == TREE_ITEMS_MAX)
			return tree_refuse(reader, "more than 4096 items: split them over several files");
		tree->items = text_alloc(tree->items, tree->nr + 1, sizeof(*tree->items));
		if (!tree_take(reader, &tree->items[tree->nr++], depth + 1))
			return false;
	}
	return tree_next(reader);
}

/* Also of a key that stands there already, for what is wrong behind it. */
static void tree_check_key(struct tree_reader *reader, const struct tree *tree)
{
	const struct tree *key = &tree->keys[tree->nr];
	size_t i;

	for (i = 0; i < tree->nr; i++)
		if (!strcmp(tree->keys[i].text, key->text)) {
			problem_add(reader->problems, &key->place,
				    "\"%s\" stands here a second time, after %s", key->text,
				    problem_place(&tree->keys[i].place));
			return;
		}
}

static bool tree_take_map(struct tree_reader *reader, struct tree *tree, int depth)
{
	tree->kind = TREE_MAP;
	if (!tree_next(reader))
		return false;
	while (reader->event.type != YAML_MAPPING_END_EVENT) {
		if (tree->nr == TREE_ITEMS_MAX)
			return tree_refuse(reader, "more than 4096 keys: split them over several files");
		tree->keys = text_alloc(tree->keys, tree->nr + 1, sizeof(*tree->keys));
		tree->items = text_alloc(tree->items, tree->nr + 1, sizeof(*tree->items));
		if (reader->event.type != YAML_SCALAR_EVENT &&
		    reader->event.type != YAML_ALIAS_EVENT)
			return tree_refuse(reader, "a key is a word, and no list or map");
		if (!tree_take(reader, &tree->keys[tree->nr], depth + 1))
			return false;
		tree_check_key(reader, tree);
		if (!tree_take(reader, &tree->items[tree->nr++], depth + 1))
			return false;
	}
	return tree_next(reader);
}

static bool tree_take(struct tree_reader *reader, struct tree *tree, int depth)
{
	memset(tree, 0, sizeof(*tree));
	tree->place = tree_place(reader, &reader->event.start_mark);
	if (depth > TREE_DEPTH_MAX)
		return tree_refuse(reader, "nested too deeply");
	if (!tree_is_plain(reader))
		return false;
	if (reader->event.type == YAML_SEQUENCE_START_EVENT)
		return tree_take_list(reader, tree, depth);
	if (reader->event.type == YAML_MAPPING_START_EVENT)
		return tree_take_map(reader, tree, depth);
	return tree_take_word(reader, tree);
}

/* STREAM-START [DOCUMENT-START node DOCUMENT-END] STREAM-END */
static bool tree_take_file(struct tree_reader *reader, struct tree *tree)
{
	if (!tree_next(reader) || !tree_next(reader))
		return false;
	if (reader->event.type == YAML_STREAM_END_EVENT)
		return true;
	if (!tree_next(reader) || !tree_take(reader, tree, 0) || !tree_next(reader))
		return false;
	if (reader->event.type != YAML_STREAM_END_EVENT)
		return tree_refuse(reader, "a second document: a file has one");
	return true;
}

/**
 * tree_read() - the tree that a text stands for
 * @file: its name, for problems
 * @tree: becomes TREE_NOTHING if there is nothing in it, or if it cannot be read
 * @problems: get what is wrong
 */
void tree_read(const char *file, const char *text, size_t len, struct tree *tree,
	       struct problems *problems)
{
	struct tree_reader reader = {
		.file = file, .text = text, .len = len, .problems = problems,
	};
	const struct tree nothing = { .kind = TREE_NOTHING, .place = { file, 1, 1 } };

	*tree = nothing;
	if (!yaml_parser_initialize(&reader.parser)) {
		problem_add(problems, &(struct place){ .file = file }, "out of memory");
		return;
	}
	yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&reader.parser, (const unsigned char *)text, len);
	if (!tree_take_file(&reader, tree))
		*tree = nothing;
	yaml_event_delete(&reader.event);
	yaml_parser_delete(&reader.parser);
}

/* For messages: what a node is. */
const char *tree_kind_name(const struct tree *tree)
{
	static const char * const names[] = {
		[TREE_WORD] = "a word", [TREE_LIST] = "a list", [TREE_MAP] = "a map",
		[TREE_NOTHING] = "nothing",
	};

	return names[tree->kind];
}
