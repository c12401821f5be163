#include "napi_util.h"

bool get_arguments(napi_env env, napi_callback_info info, size_t count, struct arguments *arguments)
{
	size_t given = MAX_ARGUMENTS;

	arguments->env = env;
	if (napi_get_cb_info(env, info, &given, arguments->values, NULL, NULL) != napi_ok || given < count) {
		napi_throw_type_error(env, NULL, "too few arguments");
		return false;
	}
	return true;
}

bool get_int(const struct arguments *arguments, size_t index, int32_t *value)
{
	if (napi_get_value_int32(arguments->env, arguments->values[index], value) == napi_ok)
		return true;
	napi_throw_type_error(arguments->env, NULL, "expected a number");
	return false;
}

static bool get_array(const struct arguments *arguments, size_t index, napi_typedarray_type *type, size_t *length,
		      void **data)
{
	bool is_array = false;
	napi_value value = arguments->values[index];

	return napi_is_typedarray(arguments->env, value, &is_array) == napi_ok && is_array &&
	       napi_get_typedarray_info(arguments->env, value, type, length, data, NULL, NULL) == napi_ok;
}

bool get_number(napi_env env, napi_callback_info info, int32_t *value)
{
	struct arguments arguments;

	return get_arguments(env, info, 1, &arguments) && get_int(&arguments, 0, value);
}

bool get_bytes(const struct arguments *arguments, size_t index, struct bytes *bytes)
{
	napi_typedarray_type type;
	void *data;

	if (get_array(arguments, index, &type, &bytes->length, &data) && type == napi_uint8_array) {
		bytes->data = data;
		return true;
	}
	napi_throw_type_error(arguments->env, NULL, "expected a Uint8Array");
	return false;
}

bool get_words(const struct arguments *arguments, size_t index, size_t least, int32_t **words, size_t *length)
{
	napi_typedarray_type type;
	void *data;

	if (get_array(arguments, index, &type, length, &data) &&
	    (type == napi_int32_array || type == napi_uint32_array) && *length >= least) {
		*words = data;
		return true;
	}
	napi_throw_type_error(arguments->env, NULL, "expected an Int32Array that is long enough");
	return false;
}

bool get_batch(const struct arguments *arguments, size_t index, struct batch *batch)
{
	int32_t *words;
	size_t length;

	if (!get_bytes(arguments, index, &batch->arena) || !get_words(arguments, index + 1, 0, &words, &length))
		return false;
	batch->slots = (struct frame_slot *)words;
	batch->capacity = length * sizeof *words / sizeof *batch->slots;
	return true;
}

bool check_slots(napi_env env, const struct batch *batch, int32_t first, int32_t count)
{
	bool inside = first >= 0 && count >= 0 && (size_t)first + (size_t)count <= batch->capacity;

	for (int32_t i = first; inside && i < first + count; i++) {
		const struct frame_slot *slot = &batch->slots[i];
		inside = (size_t)slot->offset + slot->length <= batch->arena.length;
	}
	if (!inside)
		napi_throw_range_error(env, NULL, "a slot lies outside the batch");
	return inside;
}

bool get_text(const struct arguments *arguments, size_t index, char *text, size_t size)
{
	size_t length;
	napi_value value = arguments->values[index];

	if (napi_get_value_string_utf8(arguments->env, value, NULL, 0, &length) == napi_ok && length < size &&
	    napi_get_value_string_utf8(arguments->env, value, text, size, &length) == napi_ok)
		return true;
	napi_throw_type_error(arguments->env, NULL, "expected a string that is not too long");
	return false;
}

napi_value number(napi_env env, int64_t value)
{
	napi_value result;
	return napi_create_int64(env, value, &result) == napi_ok ? result : NULL;
}

napi_value result_or_errno(napi_env env, int64_t result)
{
	return number(env, result < 0 ? -(int64_t)errno : result);
}

void export_function(napi_env env, napi_value exports, const char *name, napi_callback function)
{
	napi_value value;
	if (napi_create_function(env, name, NAPI_AUTO_LENGTH, function, NULL, &value) == napi_ok)
		napi_set_named_property(env, exports, name, value);
}
