# Layer 5: attributes that are fields of C, read without a call.  Owns their descriptors, those of
# CPython's own `__slots__`: its interpreter reads them in place, in a tenth of the time that a
# property takes.  One that can be written can be deleted, too, which leaves NULL in the field:
# the core reads such a field as a pointer, without counting a reference.  Calls nothing.

cdef extern from *:
    """
    #include <structmember.h>

    #define FP_MEMBERS 8
    static PyMemberDef fp_members[FP_MEMBERS];     /* descriptors borrow them for ever */
    static int fp_member_count;

    #define FP_WRITABLE 0
    #define FP_READONLY READONLY

    static inline int fp_add_member(PyObject *type, const char *name, Py_ssize_t offset,
                                    int flags) {
        PyTypeObject *t = (PyTypeObject *)type;
        PyMemberDef *m = &fp_members[fp_member_count];
        PyObject *descriptor;
        int result;
        if (fp_member_count == FP_MEMBERS) {
            PyErr_SetString(PyExc_SystemError, "FP_MEMBERS is too small");
            return -1;
        }
        fp_member_count++;
        m->name = name;
        m->type = T_OBJECT_EX;
        m->offset = offset;
        m->flags = flags;
        descriptor = PyDescr_NewMember(t, m);
        if (descriptor == NULL) return -1;
        result = PyDict_SetItemString(t->tp_dict, name, descriptor);
        Py_DECREF(descriptor);
        PyType_Modified(t);
        return result;
    }
    """
    int FP_WRITABLE
    int FP_READONLY
    int fp_add_member(object type, const char *name, Py_ssize_t offset, int flags) except -1


cdef Py_ssize_t member_offset(object owner, object value) except -1:
    """Bytes from the start of `owner` to its field that holds `value`, which no other does."""
    cdef void **fields = <void **> <PyObject *> owner
    cdef Py_ssize_t i
    for i in range(type(owner).__basicsize__ // <Py_ssize_t> sizeof(void *)):
        if fields[i] == <void *> value:
            return i * <Py_ssize_t> sizeof(void *)
    raise SystemError("the field is not there")
