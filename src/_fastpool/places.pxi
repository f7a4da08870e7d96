# Layer 5: attributes read by their place.  Owns where the `__slots__` of pool._members lie in
# objects; the values are those objects' own.  Only an object whose class has_members() says
# yes to is read that way, any other is asked by name.  Calls verdicts.

cdef extern from *:
    """
    #include "structmember.h"

    typedef struct {
        PyObject *name;             /* owned; str */
        PyMemberDef *definition;    /* the class's */
        Py_ssize_t at;              /* its offset in the class's objects */
    } fp_member;

    /* What a `__slots__` descriptor stands for, or NULL. */
    static PyMemberDef *fp_member_of(PyObject *descriptor) {
        if (!Py_IS_TYPE(descriptor, &PyMemberDescr_Type)) return NULL;
        return ((PyMemberDescrObject *)descriptor)->d_member;
    }

    /* Whether a method is one of C that takes no arguments; fp_call() calls it. */
    static inline int fp_takes_nothing(PyObject *method) {
        return Py_IS_TYPE(method, &PyMethodDescr_Type)
            && ((PyMethodDescrObject *)method)->d_method->ml_flags == METH_NOARGS;
    }

    static inline PyObject *fp_call(PyObject *method, PyObject *self) {
        return ((PyMethodDescrObject *)method)->d_method->ml_meth(self, NULL);
    }

    /* The value of a member, or NULL when it is not set. */
    static inline PyObject *fp_load(PyObject *owner, const fp_member *member) {
    #ifdef Py_GIL_DISABLED
        /* Race: another thread may replace the value before it is counted.  No lock: threads
         * would compete for it in each request, and a fork could leave it taken. */
        PyObject *value = PyMember_GetOne((char *)owner, member->definition);
        if (value == NULL) PyErr_Clear();
    #else
        PyObject *value = *(PyObject **)((char *)owner + member->at);
        Py_XINCREF(value);
    #endif
        return value;
    }

    /* getattr(), at once where the object has the member; one that is not set is searched, so
     * that __getattr__() and AttributeError are as ever. */
    static inline PyObject *fp_read(PyObject *owner, int has, const fp_member *member) {
        PyObject *value = has ? fp_load(owner, member) : NULL;
        return value != NULL ? value : PyObject_GetAttr(owner, member->name);
    }

    /* The value of a member, or None when it is not set. */
    static inline PyObject *fp_peek(PyObject *owner, const fp_member *member) {
        PyObject *value = fp_load(owner, member);
        if (value == NULL) {
            value = Py_None;
            Py_INCREF(value);
        }
        return value;
    }

    /* setattr() */
    static inline int fp_write(PyObject *owner, int has, const fp_member *member, PyObject *value) {
        if (!has) return PyObject_SetAttr(owner, member->name, value);
    #ifdef Py_GIL_DISABLED
        return PyMember_SetOne((char *)owner, member->definition, value);
    #else
        PyObject **place = (PyObject **)((char *)owner + member->at);
        PyObject *old = *place;
        *place = Py_NewRef(value);
        Py_XDECREF(old);
        return 0;
    #endif
    }
    """
    ctypedef struct PyMemberDef:
        Py_ssize_t offset
    ctypedef struct fp_member:
        PyObject *name
        PyMemberDef *definition
        Py_ssize_t at
    PyMemberDef *fp_member_of(object descriptor)
    bint fp_takes_nothing(object method)
    object fp_call(object method, object self)
    object fp_read(object owner, bint has, const fp_member *member)
    object fp_peek(object owner, const fp_member *member)
    int fp_write(object owner, bint has, const fp_member *member, object value) except -1

    bint PyObject_TypeCheck(object value, type cls)

cdef struct ManagerMembers:
    fp_member pools
    fp_member connection_pool_kw
    fp_member key_fn_by_scheme
    fp_member origins
    fp_member unhooked          # OwnNames; not set before the first request

cdef struct PoolMembers:
    fp_member pool              # queue of idle connections; None once closed
    fp_member block
    fp_member retries
    fp_member proxy
    fp_member proxy_headers
    fp_member num_requests
    fp_member unhooked          # as of a manager

cdef struct ConnectionMembers:
    fp_member sock
    fp_member timeout           # seconds, or None
    fp_member wire
    fp_member host_bytes        # the Host field on the present socket
    fp_member fork_generation
    fp_member body_started
    fp_member close_after_response
    fp_member defer_redirect_body

cdef struct ContainerMembers:
    fp_member newest            # (key, value) used last, or None

cdef struct SocketMembers:      # of CPython's own class
    fp_member io_refs           # int: who keeps the descriptor open
    fp_member closed            # bool

cdef enum:                      # places in member_classes
    MANAGER_MEMBERS
    POOL_MEMBERS
    CONNECTION_MEMBERS

cdef ManagerMembers of_manager
cdef PoolMembers of_pool
cdef ConnectionMembers of_connection
cdef ContainerMembers of_container
cdef SocketMembers of_socket
# Sockets of a class that is not bound are asked by these names too.
of_socket.io_refs.name = <PyObject *> "_io_refs"
of_socket.closed.name = <PyObject *> "_closed"
cdef type socket_class = None   # whose members those are
cdef object socket_fileno = None    # its methods
cdef object socket_gettimeout = None
cdef tuple member_classes = ()


# The names of those above, in their order.
cdef tuple MANAGER_NAMES = (
    "pools", "connection_pool_kw", "key_fn_by_scheme", "_origins", "_unhooked",
)
cdef tuple POOL_NAMES = (
    "pool", "block", "retries", "proxy", "proxy_headers", "num_requests", "_unhooked",
)
cdef tuple CONNECTION_NAMES = (
    "sock", "timeout", "_wire", "_host_bytes", "_fork_generation", "_body_started",
    "_close_after_response", "_defer_redirect_body",
)


def bind_members(manager not None, pool not None, connection not None, container not None):
    """Tell the core the classes whose `__slots__` are the members."""
    global member_classes
    bind_names(manager, MANAGER_NAMES, <fp_member *> &of_manager)
    bind_names(pool, POOL_NAMES, <fp_member *> &of_pool)
    bind_names(connection, CONNECTION_NAMES, <fp_member *> &of_connection)
    bind_names(container, ("_newest",), <fp_member *> &of_container)
    member_classes = (manager, pool, connection)


def bind_socket(type cls not None):
    """Tell the core the class of sockets; one that keeps its state elsewhere is not for us."""
    global socket_class, socket_fileno, socket_gettimeout
    names = ("_io_refs", "_closed")
    fileno = getattr(cls, "fileno", None)
    gettimeout = getattr(cls, "gettimeout", None)
    if fp_takes_nothing(fileno) and fp_takes_nothing(gettimeout) and all(
        [fp_member_of(vars(cls).get(name)) is not NULL for name in names]
    ):
        bind_names(cls, names, <fp_member *> &of_socket)
        socket_class = cls
        socket_fileno = fileno
        socket_gettimeout = gettimeout


def examine_sayings(cls):
    """Whether sockets of a class say their descriptor and timeout as the bound one does."""
    plain = (
        socket_class is not None and issubclass(cls, socket_class)
        and cls.fileno is socket_fileno and cls.gettimeout is socket_gettimeout
    )
    return TypeSnapshot((cls,), plain)


cdef Verdicts sayings = Verdicts(examine_sayings)


cdef inline bint is_plain_socket(object sock) noexcept:
    return socket_class is not None and PyObject_TypeCheck(sock, socket_class)


cdef int descriptor_of(object sock) except? -2:
    """`sock.fileno()`"""
    if bits_on(sayings, sock):
        return fp_call(socket_fileno, sock)
    return sock.fileno()


cdef object timeout_of(object sock):
    """`sock.gettimeout()`"""
    if bits_on(sayings, sock):
        return fp_call(socket_gettimeout, sock)
    return sock.gettimeout()


cdef int bind_names(object cls, tuple names, fp_member *members) except -1:
    cdef Py_ssize_t i
    cdef str name
    for i in range(len(names)):
        name = names[i]
        members[i].definition = fp_member_of(vars(cls)[name])
        if members[i].definition is NULL:
            raise TypeError(f"{cls.__name__}.{name} is not a member")
        members[i].at = members[i].definition.offset
        Py_INCREF(name)
        members[i].name = <PyObject *> name
    return 0


cdef bint has_members(object cls, int which) except -1:
    """Whether objects of a class can be read by place: it inherits members and hides none."""
    base = member_classes[which]
    if not issubclass(cls, base):
        return False
    known = vars(base)
    return all([getattr(cls, name, None) is known[name] for name in base.__slots__])


def has_connection_members(cls not None):
    """Whether connections of this class can be read by place."""
    return has_members(cls, CONNECTION_MEMBERS)
