export default {
  async fetch(request) {
    const event = await request.json();
    return Response.json({ hello: event.name, length: event.name.length });
  },
};
